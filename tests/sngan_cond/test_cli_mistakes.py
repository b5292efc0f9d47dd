"""Mistakes made with the `sngan-cond` command: one line each, status 2, nothing written."""

import errno
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from sngan_cond import sampling
from sngan_cond.cli import main, run_command
from tests.command_line import build, refused, save_conditional
from tests.processes import called
from tests.reference.fixtures import OFFICIAL
from tests.reference.synthetic import discriminator_arrays, generator_arrays, save


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_conditional(tmp_path_factory.mktemp("models") / "conditional")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sample", "--class", "crane"], "class 'crane' means several: 1 / n02012849 / crane, 3 / n03126707 / crane"),
        (["sample", "--class", "trench"], "class 'trench' is unknown: .*near are 0 / n01440764 / tench"),
        (["sample", "--class", "4"], "class '4' is unknown: an index from 0 to 3"),
        (["sample", "--class", "x" * 10**5], "is unknown"),
        (["sample"], "--class is missing: this model has 4 classes, such as 'tench, Tinca tinca'"),
        (["sample", "--class", "2", "golf ball"], "--class golf ball: this class is named twice"),
        (["sample", "--class", "all", "0"], "class 'all' is unknown"),
        (["sample", "--class", "0", "--n", "0"], "argument -n/--n: '0': an integer from 1 to 1000000"),
        (["sample", "--class", "0", "-n", "2000000"], "argument -n/--n: '2000000': an integer from 1 to 1000000"),
        (
            ["sample", "--class", "all", "-n", "300000"],
            "-n 300000: 1,200,000 images of 4 classes; up to 1,000,000 in all",
        ),
        (["sample", "--class", "0", "1", "--n", "10000"], "a grid with 10000 images of 32 px in a line"),
        (["sample", "--class", "0", "--n", "many"], "argument -n/--n: 'many': an integer from 1"),
        (["sample", "--class", "0", "--columns", "0"], "argument --columns: '0': an integer from 1 is allowed"),
        (["sample", "--class", "0", "--format", "gif"], "argument --format: invalid choice: 'gif'"),
        (["sample", "--class", "0", "--format", "jpg"], "--format jpg: only for a folder of single files"),
        (["sample", "--class", "0", "--device", "mps"], "--device mps: there is none here; auto or cpu is allowed"),
        (["sample", "--class", "0", "--dtype", "int8"], "argument --dtype: invalid choice: 'int8'"),
        (["sample", "--class", "0", "--seed", "-1"], "seed=-1: an integer from 0"),
        (["sample", "--class", "0", "--seed", str(2**70)], "seed=1180591620717411303424: "),
        (["sample", "--class", "0", "--truncation", "0"], "truncation=0.0: "),
        (["sample", "--class", "0", "--truncation", "nan"], "truncation=nan: "),
        (["sample", "--class", "0", "--batch-size", "0"], "batch_size=0: an integer from 1 to 65536"),
        (["sample", "--class", "0", "--batch-size", "65537"], "batch_size=65537: an integer from 1 to 65536"),
        (["sample", "--class", "0", "--device", "tpu"], "argument --device: invalid choice: 'tpu'"),
        (["sample", "--clas", "0"], "unrecognized arguments: --clas 0"),
        (["morph", "--from", "0"], "the following arguments are required: --to"),
        (["morph", "--from", "0", "--to", "crane"], "class 'crane' means several"),
        (["morph", "--from", "0", "--to", "2", "--steps", "1"], "argument --steps: '1': an integer from 2 to 10000"),
        (["morph", "--from", "0", "--to", "2", "--steps", "9999"], "a grid with 9999 images"),
        (["walk", "--to-seed", "1"], "--class is missing: name one of this model's 4 classes"),
        (["walk", "--class", "0"], "the following arguments are required: --to-seed"),
        (["walk", "--class", "0", "--to-seed", "-1"], "to_seed=-1: an integer from 0"),
        (["mixture", "--class", "0", "1", "--weight", "1"], "--weight: 1 numbers for 2 classes; one for each"),
        (["mixture", "--class", "0", "1", "--weight", "1", "-1"], "weight -1.0 of class 1: a finite number from 0"),
        (["mixture", "--class", "0", "--weight", "0"], "at least one above 0"),
        (["mixture", "--class", "1", "n02012849"], "--class n02012849: this class is named twice"),
        (["sample", "--class", "0", "--latent", "7"], "--latent='7': SEED:ROW or SEED:ROW:TRUNCATION is allowed"),
        (["sample", "--class", "0", "--latent", "7:3", "--seed", "0"], "--seed 0 with --latent 7:3: one of them is"),
        (
            ["morph", "--from", "0", "--to", "1", "--latent", "7:3", "--truncation", "1"],
            "--truncation 1.0 with --latent",
        ),
        (["mixture", "--class", "0", "--latent", "7:3", "-n", "2"], "-n 2 with --latent 7:3: a latent has one image"),
        (["walk", "--class", "0", "--to-seed", "1", "--latent", "7:3", "--seed", "1"], "--seed 1 with --latent 7:3"),
        (["walk", "--class", "0*1+", "--to-seed", "1"], r"class '0\*1\+': a class, or a blend"),
        (["vary", "--class", "0"], "the following arguments are required: --latent"),
        (["vary", "--latent", "7:3"], "--class is missing: name one of this model's 4 classes"),
        (["vary", "--latent", "7:3", "--class", "0", "--radius", "2"], "radius=2.0: a number from 0 to 1"),
        (["vary", "--latent", "7:3~2~1:1", "--class", "0"], "--latent='7:3~2~1:1': fraction=2.0: a number from 0 to 1"),
        (["cross", "--latent", "7:3", "--class", "0", "--to-class", "1"], "are required: --to-latent"),
        (
            ["cross", "--latent", "7:3", "--to-latent", "1", "--class", "0", "--to-class", "1"],
            "--to-latent='1': SEED:ROW",
        ),
        (["cross", "--latent", "7:3", "--to-latent", "1:1", "--class", "0"], "--to-class is missing: name one of"),
        (["cross", "--latent", "7:3", "--to-latent", "1:1", "--steps", "101"], "'101': an integer from 2 to 100"),
        (["generate"], "invalid choice: 'generate'"),
    ],
)
def test_mistakes_take_one_line(model: str, tmp_path: Path, arguments: list[str], message: str) -> None:
    line = refused(*arguments, "--model", model, "--out", tmp_path / "new" / "out.png")
    assert re.search(message, line)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["sample", "morph", "info"])
def test_missing_models(verb: str, tmp_path: Path) -> None:
    arguments = {
        "sample": ["--class", "0", "--out", tmp_path / "o.png"],
        "morph": ["--from", "0", "--to", "1", "--out", tmp_path / "o.gif"],
        "info": [],
    }[verb]
    assert "no-such-folder" in refused(verb, "--model", tmp_path / "no-such-folder", *arguments)
    (tmp_path / "empty").mkdir()
    assert "config.json" in refused(verb, "--model", tmp_path / "empty", *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_wrong_places_to_write(model: str, tmp_path: Path) -> None:
    common = ("--model", model, "--class", "0", "--n", "1", "--out")
    assert "argument -o/--out: '': a path is allowed" in refused("sample", *common, "")
    assert ".png: is an ending alone; a name before it is allowed" in refused("sample", *common, tmp_path / ".png")
    for name in ("grid.tif", "grid.gif", "-"):
        out = name if name == "-" else tmp_path / name
        assert f"{out}: a file ending in .png, .jpg, " in refused("sample", *common, out)
    (tmp_path / "folder.png").mkdir()
    assert "folder.png: is a folder, and its ending is that of a file" in refused(
        "sample", *common, tmp_path / "folder.png"
    )
    assert "--columns 2: only for a grid" in refused("sample", *common, tmp_path / "a.npy", "--columns", 2)
    many = (*common[:-2], 2000, "--columns", 2000, "--out")
    assert "at most 16,383 px on a side are allowed in .webp" in refused("sample", *many, tmp_path / "grid.webp")
    (tmp_path / "file").write_text("mine")
    assert "file" in refused("sample", *common, tmp_path / "file")
    assert "file" in refused("sample", *common, tmp_path / "file" / "grid.png")
    long = tmp_path / f"{'a' * 250}.png"
    assert f"error: {long}: File name too long" in refused("sample", *common, long)
    morphing = ("--model", model, "--from", "0", "--to", "2", "--out")
    line = refused("morph", *morphing, tmp_path / "m.mp4")
    assert re.search(r"m\.mp4: a file ending in .*\.gif, \.webp, \.apng, \.npy, \.npz, or a folder, is allowed", line)
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]


def test_models_without_classes_or_a_card(tmp_path: Path) -> None:
    build(0).save_pretrained(tmp_path / "m")
    (tmp_path / "m" / "README.md").unlink()
    common = ("--model", tmp_path / "m")
    assert "has no README.md" in refused("info", *common, "--card")
    assert "this model has no classes" in refused("classes", *common)
    assert "this model has no classes" in refused("sample", *common, "--class", "all", "-o", tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_nobodys_escape_codes_reach_the_terminal(tmp_path: Path) -> None:
    build(3, class_names=("crane\x1b[31m", "crane\x1b[31m", "snail"), class_ids=None).save_pretrained(tmp_path / "m")
    line = refused("sample", "--model", tmp_path / "m", "--class", "crane", "-o", tmp_path / "a.png")
    assert line.endswith("near are 0 / crane?[31m, 1 / crane?[31m")


def test_a_search_that_finds_nothing(model: str) -> None:
    line = refused("classes", "--model", model, "--search", "zeppelin")
    assert "--search 'zeppelin': none of this model's 4 classes is like it" in line


def test_a_full_disk_leaves_nothing(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, calls = Image.Image.save, []

    def full(self: Image.Image, target: Path, **options: object) -> None:
        calls.append(target)
        whole(self, target, **options)
        if len(calls) % 2 == 0:  # the second image of the folder
            raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(Image.Image, "save", full)
    common = ("--model", model, "--class", "0", "--n", "3", "--out")
    assert "No space left on device" in refused("sample", *common, tmp_path / "folder")
    calls.append(None)
    assert "No space left on device" in refused("sample", *common, tmp_path / "grid.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["folder", "grid.npy"])
def test_a_command_that_is_asked_to_end_leaves_nothing(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def asked(*_: object, **__: object) -> Iterator[torch.Tensor]:
        yield torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
        assert list(tmp_path.iterdir()) != []
        os.kill(os.getpid(), signal.SIGTERM)
        yield torch.zeros(1, 3, 32, 32, dtype=torch.uint8)

    monkeypatch.setattr(sampling, "generate", asked)
    before = signal.getsignal(signal.SIGTERM)
    status, out, err = called(main, "sample", "--model", model, "--class", 0, "-n", 2, "--out", tmp_path / name)
    assert (status, out, err) == (143, "", "")
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) == before


def test_convert_refuses_what_is_no_generator(tmp_path: Path) -> None:
    out = tmp_path / "model"
    line = refused("convert", "--chainer", OFFICIAL / "tiny_d32_c5.npz", "--out", out)
    assert "tiny_d32_c5.npz: holds 'block1/c1/W' and no 'l1/W', so it is no generator's snapshot" in line
    assert "no such file" in refused("convert", "--chainer", tmp_path / "absent.npz", "--out", out)
    arrays = generator_arrays(32, ch=1, dim_z=2, classes=2)
    del arrays["b5/gamma"]
    broken = save(tmp_path / "broken.npz", arrays)
    assert "missing keys 'b5/gamma'" in refused("convert", "--chainer", broken, "--out", out)
    d = save(tmp_path / "d.npz", discriminator_arrays(32, ch=1))
    assert "no generator's snapshot" in refused("convert", "--chainer", d, "--out", out)
    assert not out.exists()


def test_out_of_memory(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A petabyte: more than any address space holds, so that the real allocator refuses at once.
    monkeypatch.setattr(sampling, "generate", lambda *_, **__: [torch.empty(2**50, dtype=torch.uint8)])
    line = refused("sample", "--model", model, "--class", "0", "--out", tmp_path / "grid.png")
    assert "out of memory on the device; try a smaller --batch-size" in line
    assert list(tmp_path.iterdir()) == []


def test_other_faults_are_not_called_a_lack_of_memory(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "generate", lambda *_, **__: [torch.ones(2) @ torch.ones(3)])
    with pytest.raises(RuntimeError, match="inconsistent tensor size"):
        main(["sample", "--model", model, "--class", "0", "--out", str(tmp_path / "grid.png")])


def test_an_error_of_the_system_is_one_line_whatever_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise OSError(errno.EIO, "Input/output error", "data/images.npy")

    assert run_command(work, (), name="evaluate: ") == 2
    assert capsys.readouterr().err == "evaluate: error: data/images.npy: Input/output error\n"
