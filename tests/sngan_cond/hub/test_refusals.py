"""What is refused when a folder or a Hub repo is opened, each with a reason."""

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sngan_cond import Generator
from sngan_cond.hub.cards import escape
from sngan_cond.hub.files import PretrainedError, check_files
from sngan_cond.loading import load_generator
from sngan_cond.stored import MAX_TEXT_BYTES
from tests.hub.folders import edit, make, reheader, rewrite
from tests.refusals import refused


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


CONFIG_CASES: dict[str, tuple[Callable[[dict[str, Any]], object], list[str]]] = {
    "unknown field": (lambda v: v.update(resolutoin=32), ["resolutoin", "did you mean 'resolution'"]),
    "missing field": (lambda v: v.pop("latent_dim"), ["misses", "latent_dim"]),
    "a billion channels": (lambda v: v.update(channels=10**9), ["channels=1000000000", "1 to 4096"]),
    "a number with 4,000 digits": (
        lambda v: v.update(channels=10**4000),
        ["an integer of more than 20 digits"],
    ),
    "text for a number": (lambda v: v.update(channels="64"), ["channels='64'"]),
    "a list for a name": (lambda v: v.update(architecture=["resnet"]), ["architecture="]),
    "names of another count": (lambda v: v.update(class_names=["a"]), ["class_names", "1 entries"]),
    "transformers": (lambda v: (v.clear(), v.update(model_type="bert")), ["transformers", "sngan-cond"]),
    "nothing": (lambda v: v.clear(), ["another library"]),
    "other widths": (lambda v: v.update(channels=4096), ["shape", "numbers in all", "the file holds"]),
    "other classes": (lambda v: v.update(num_classes=100_000, class_names=None), ["shape", "100000"]),
    "no classes": (lambda v: v.update(num_classes=0, class_names=None), ["unknown", "weights"]),
}


@pytest.mark.parametrize("case", CONFIG_CASES)
def test_a_config_that_does_not_fit_is_refused_before_allocation(folder: Path, case: str) -> None:
    change, words = CONFIG_CASES[case]
    edit(folder, change)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(refused(lambda: Generator.from_pretrained(folder), *words, by=PretrainedError)) < 700
    # Channels of 4096 at 32 px alone would be 5 GB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 200_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1, 2]", ["a JSON object is expected", "list"]),
        ("{", ["cannot be read as JSON"]),
        ("[" * 200_000, ["nested too deeply"]),
        ("\ud800", ["cannot be read as JSON"]),
    ],
    ids=["list", "cut", "deep", "not utf-8"],
)
def test_a_config_that_is_no_object_is_refused(folder: Path, text: str, words: list[str]) -> None:
    (folder / "config.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    refused(lambda: Generator.from_pretrained(folder), *words, by=PretrainedError)


@pytest.mark.parametrize(
    ("name", "fact", "words"),
    [
        ("metrics.json", "metrics", "cannot be read as JSON"),
        ("training.json", "step", "cannot be read as JSON"),
        ("README.md", "card", "cannot be read as text"),
    ],
)
def test_a_damaged_file_keeps_nobody_from_the_weights(folder: Path, name: str, fact: str, words: str) -> None:
    (folder / name).write_bytes(b"\xff")
    model = load_generator(folder)
    refused(lambda: getattr(model, fact), name, words, by=PretrainedError)


def test_a_huge_config_is_not_read(folder: Path) -> None:
    with (folder / "config.json").open("r+b") as file:
        file.truncate(MAX_TEXT_BYTES + 1)
    refused(lambda: Generator.from_pretrained(folder), "16,777,217 bytes, at most 16,777,216", by=PretrainedError)


FIRST = "network.blocks.0.conv1.weight"
WEIGHT_CASES: dict[str, tuple[Callable[[dict[str, torch.Tensor]], object], list[str]]] = {
    "missing": (lambda t: t.pop(FIRST), ["misses weight", FIRST]),
    "extra": (lambda t: t.update(more=torch.zeros(1)), ["unknown weight more"]),
    "renamed": (lambda t: t.update({f"{FIRST}s": t.pop(FIRST)}), ["misses", "unknown", f"did you mean {FIRST}?"]),
    "transposed": (lambda t: t.update({FIRST: torch.zeros(5, 4, 3, 3)}), ["shape (5, 4, 3, 3)", "(4, 4, 3, 3)"]),
    "bytes": (lambda t: t.update({FIRST: t[FIRST].to(torch.int8)}), ["type I8", "F16, BF16, F32, F64 is allowed"]),
    "NaN": (
        lambda t: t[FIRST][0, 0, 0].fill_(float("nan")),
        [FIRST, "NaN or infinity in float32: 3 of its 144 values are not finite"],
    ),
    "minus infinity in a running statistic": (
        lambda t: t["network.norm.running_mean"][1].fill_(-float("inf")),
        ["network.norm.running_mean", "1 of its 4 values"],
    ),
    "infinity in half": (lambda t: t.update({FIRST: (t[FIRST] + 1e5).half()}), [FIRST, "NaN or infinity"]),
    "a flipped bit of an exponent": (
        lambda t: t[FIRST][1, 0, 0, 0].fill_(-1.5 * 2.0**125),
        [FIRST, "holds -6.38e+37: beyond 1.8e+19 the product of two is infinite in float32"],
    ),
    "a negative variance": (
        lambda t: t["network.norm.running_var"][0].fill_(-0.5),
        ["network.norm.running_var holds -0.5: no variance is below 0"],
    ),
}


@pytest.mark.parametrize("case", WEIGHT_CASES)
def test_weights_that_do_not_fit_are_refused(folder: Path, case: str) -> None:
    change, words = WEIGHT_CASES[case]
    rewrite(folder, change)
    refused(lambda: Generator.from_pretrained(folder), *words, by=PretrainedError)


def _first(header: dict[str, Any]) -> Any:
    return header[FIRST]


HEADER_CASES: dict[str, Callable[[Path], object]] = {
    "cut short": lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:-1]),
    "too long": lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes() + b"\0"),
    "empty": lambda f: (f / "model.safetensors").write_bytes(b""),
    "a header longer than the file": lambda f: reheader(f, dict.copy, claim=2**40),
    "a header as long as can be said": lambda f: reheader(f, dict.copy, claim=2**64 - 1),
    "a shape larger than its numbers": lambda f: reheader(f, lambda h: _first(h).update(shape=[4, 4, 3, 3000])),
    "a shape that overflows": lambda f: reheader(f, lambda h: _first(h).update(shape=[2**62, 4, 3, 3])),
    "numbers behind the end": lambda f: reheader(f, lambda h: _first(h).update(data_offsets=[10**12, 10**12 + 576])),
    "overlapping": lambda f: reheader(f, lambda h: _first(h).update(data_offsets=[0, 576])),
    "a negative offset": lambda f: reheader(f, lambda h: _first(h).update(data_offsets=[-576, 0])),
    "not safetensors": lambda f: (f / "model.safetensors").write_bytes(b"PK\x03\x04" + b"x" * 1000),
}


@pytest.mark.parametrize("case", HEADER_CASES)
def test_a_header_that_lies_is_refused(folder: Path, case: str) -> None:
    HEADER_CASES[case](folder)
    words = ("model.safetensors", "damaged or not safetensors", "again")
    refused(lambda: Generator.from_pretrained(folder), *words, by=PretrainedError)


def test_files_of_absurd_size_are_refused_before_their_download() -> None:
    sizes: dict[str, int | None] = {"config.json": 2**20, "model.safetensors": 2**30, "notes.txt": 2**50}
    check_files("user/name@main", sizes)
    for name, size in (("config.json", 2**24 + 1), ("model.safetensors", 2**33 + 1)):
        with pytest.raises(PretrainedError, match=rf"{name} has {size:,} bytes, at most {size - 1:,} are read"):
            check_files("user/name@main", sizes | {name: size})


def test_a_pickle_is_named_and_left_alone(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    words = ("no model.safetensors", "pytorch_model.bin", "run code", "convert")
    refused(lambda: Generator.from_pretrained(folder), *words, by=PretrainedError)
    (folder / "config.json").unlink()
    refused(lambda: Generator.from_pretrained(folder), "no config.json and no model.safetensors", by=PretrainedError)


@pytest.mark.parametrize(
    "name",
    [
        "https://example.org/user/name",
        "http://127.0.0.1/a/b",
        "file:///etc/passwd",
        "../etc/passwd",
        "user",
        "user/name/more",
        "user/..",
        "user/a--b",
        "user/na me",
        "user/näme",
        "user/name\n",
        "",
        "/",
        "a" * 1_000_000,
        "a\0b",
        "<script>alert(1)</script>/x",
    ],
    ids=lambda name: name[:20].replace("\0", "0"),
)
def test_names_that_are_none_are_refused(name: str) -> None:
    line = refused(lambda: Generator.from_pretrained(name), by=PretrainedError)
    assert line.startswith("model=")
    assert len(line) < 400


@pytest.mark.parametrize("revision", ["../../x", "-x", "a b", "", "x" * 1000, "a\nb", "main@{1}"])
def test_revisions_that_are_none_are_refused(revision: str) -> None:
    with pytest.raises(PretrainedError, match=r"^revision="):
        Generator.from_pretrained("user/name", revision=revision)


def test_a_revision_is_given_once_and_to_a_repo(folder: Path) -> None:
    with pytest.raises(PretrainedError, match="give the revision once"):
        Generator.from_pretrained("user/name@v1", revision="v2")
    refused(lambda: Generator.from_pretrained(folder, revision="v2"), "a folder, which has none", by=PretrainedError)


def test_text_of_anybody_is_shown_as_it_is() -> None:
    shown = escape('<img src=x onerror="1"> *a* [b](http://c) `d` | e\n# f ~~g~~ $h$ www.i')
    assert "<" not in shown
    assert "\n" not in shown
    assert "://" not in shown
    for mark in ("*", "[", "]", "`", "|", "~", "$", "("):
        assert shown.count(mark) == shown.count(f"\\{mark}") > 0


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"name": "x"}, "protocol is None"),
        ({"name": "x", "protocol": "p", "extractor": "e", "value": float("nan")}, "x is nan"),
        ({"name": "x", "protocol": "p", "extractor": "e", "value": "3"}, "x is '3'"),
    ],
)
def test_metrics_that_say_too_little_are_refused(tmp_path: Path, row: dict[str, Any], words: str) -> None:
    with pytest.raises(PretrainedError, match=words):
        make().save_pretrained(tmp_path / "m", metrics={"metrics": [row]})
    assert not (tmp_path / "m").exists()
