"""The `sngan-cond` command, run as a user runs it."""

import contextlib
import hashlib
import io
import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sngan_cond import commands, cross, mixture, morph, sample, sampling, vary, walk
from sngan_cond.cli import main
from sngan_cond.images import to_grid
from tests.command_line import IDS, build, refused, save_conditional
from tests.processes import called, output_of, python
from tests.reference.synthetic import generator_arrays, save


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_conditional(tmp_path_factory.mktemp("models") / "conditional")


@pytest.fixture(scope="module")
def plain_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "unconditional"
    build(0).save_pretrained(folder)
    return str(folder)


def pixels(path: Path) -> torch.Tensor:
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def test_sample_writes_a_row_a_class(model: str, tmp_path: Path) -> None:
    out = tmp_path / "new" / "grid.png"
    arguments = ["sample", "--model", model, "--class", "golf ball", "--class", "0", "--n", "3", "--seed", "5"]
    said = output_of(main, *arguments, "--out", out)
    assert said == f"{out}: 6 images of golf ball, tench, Tinca tinca, 32 px, seed 5\n"
    images = sample(build(4), classes=[2, 2, 2, 0, 0, 0], seed=5)
    assert torch.equal(pixels(out), to_grid(images, columns=3))
    again = tmp_path / "again.png"
    output_of(main, *arguments, "--out", again, "--device", "cpu")
    assert again.read_bytes() == out.read_bytes()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["again.png", "grid.png", "new"]


def test_sample_truncates_and_batches(model: str, tmp_path: Path) -> None:
    out = tmp_path / "grid.png"
    arguments = ["sample", "--model", model, "--class", IDS[3], "--n", "4", "--truncation", "0.7", "--batch-size", "3"]
    output_of(main, *arguments, "--out", out)
    images = sample(build(4), classes=[3] * 4, truncation=0.7, batch_size=3)
    assert torch.equal(pixels(out), to_grid(images, columns=2))


def test_sample_takes_several_classes_after_one_flag_and_all_of_them(model: str, tmp_path: Path) -> None:
    common = ["sample", "--model", model, "-n", "2", "-o"]
    said = output_of(
        main, *common, tmp_path / "some.png", "--class", "3", "golf ball", "--class", "tench", "--columns", 3
    )
    assert "6 images of crane (n03126707), golf ball, tench, Tinca tinca, 32 px" in said
    assert torch.equal(pixels(tmp_path / "some.png"), to_grid(sample(build(4), [3, 3, 2, 2, 0, 0]), columns=3))
    output_of(main, *common, tmp_path / "all.png", "--class", "all")
    assert torch.equal(pixels(tmp_path / "all.png"), to_grid(sample(build(4), [0, 0, 1, 1, 2, 2, 3, 3]), columns=2))
    output_of(main, "sample", "--model", model, "-n", "1", "-o", tmp_path / "each.png", "--class", "all")
    assert torch.equal(pixels(tmp_path / "each.png"), to_grid(sample(build(4), [0, 1, 2, 3]), columns=2))
    output_of(main, *common[:3], "--class", "2", "-n", "1", "-o", tmp_path / "one.png")
    assert torch.equal(pixels(tmp_path / "one.png"), sample(build(4), 2)[0])  # no frame around a single image


def test_a_class_called_by_a_number_is_meant_by_it(tmp_path: Path) -> None:
    G = build(4, class_names=("0", "1", "10", "2"), class_ids=None)
    G.save_pretrained(tmp_path)
    common = ["sample", "--model", tmp_path, "-n", "1", "-o"]
    assert "1 image of 2, 32 px" in output_of(main, *common, tmp_path / "2.png", "--class", "2")
    assert torch.equal(pixels(tmp_path / "2.png"), sample(G, 3)[0])
    assert torch.equal(sample(G, ["2", "10", "3", "0"]), sample(G, [3, 2, 3, 0]))
    output_of(main, *common, tmp_path / "all.npz", "--class", "all")
    with np.load(tmp_path / "all.npz") as read:
        assert read["arr_1"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("ending", ["jpg", "webp", "avif"])
def test_grids_in_other_formats(model: str, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"grid.{ending}"
    output_of(main, "sample", "--model", model, "--class", "2", "-n", "3", "-o", out)
    difference = (pixels(out).int() - to_grid(sample(build(4), 2, n=3), columns=2).int()).abs()
    # Noise between white lines, which JPEG and AVIF (both 4:4:4) keep less well than photographs; WebP is lossless.
    assert difference.max() == 0 if ending == "webp" else 0 < difference.float().mean() < 4


def test_arrays_and_other_folders(model: str, tmp_path: Path) -> None:
    images, y = sample(build(4), [3, 3, 1, 1], seed=6, batch_size=3, output="numpy"), np.array([3, 3, 1, 1])
    common = ["sample", "--model", model, "--class", "3", "1", "-n", "2", "--seed", "6", "--batch-size", "3", "-o"]
    for name in ("a.npz", "again.npz", "a.npy"):
        output_of(main, *common, tmp_path / name)
    with np.load(tmp_path / "a.npz") as read:
        assert read.files == ["arr_0", "arr_1"]
        assert all(np.array_equal(read[key], value) for key, value in (("arr_0", images), ("arr_1", y)))
        assert (read["arr_0"].dtype, read["arr_1"].dtype) == (np.uint8, np.int64)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    assert np.array_equal(np.load(tmp_path / "a.npy", mmap_mode="r"), images)
    output_of(main, *common, tmp_path / "folder", "--format", "webp")
    assert torch.equal(
        pixels(tmp_path / "folder" / "class-0001-seed-6-0000.webp").permute(1, 2, 0), torch.tensor(images[2])
    )


def test_sample_writes_single_images_into_a_folder(model: str, tmp_path: Path) -> None:
    out = tmp_path / "images"
    arguments = ["sample", "--model", model, "--class", "tench", "--class", "2", "--n", "2", "--out", str(out)]
    output_of(main, *arguments, "--seed", "9")
    names = [f"class-{label:04d}-seed-9-{i:04d}.png" for label in (0, 2) for i in (0, 1)]
    assert sorted(path.name for path in out.iterdir()) == names
    images = sample(build(4), classes=[0, 0, 2, 2], seed=9)
    for name, image in zip(names, images, strict=True):
        assert torch.equal(pixels(out / name), image)
    (out / "notes.txt").write_text("mine")
    output_of(main, *arguments, "--seed", "10")  # into the same folder
    assert len(list(out.iterdir())) == 9
    assert list(tmp_path.iterdir()) == [out]


def test_sample_without_classes(plain_model: str, tmp_path: Path) -> None:
    out = tmp_path / "grid.png"
    output_of(main, "sample", "--model", plain_model, "--n", "5", "--seed", "2", "--out", out)
    assert torch.equal(pixels(out), to_grid(sample(build(0), n=5, seed=2), columns=3))
    folder = tmp_path / "folder"
    output_of(main, "sample", "--model", plain_model, "--n", "2", "--out", folder)
    assert sorted(path.name for path in folder.iterdir()) == ["seed-0-0000.png", "seed-0-0001.png"]


@pytest.mark.parametrize("suffix", ["gif", "webp", "apng"])
def test_morph_writes_an_animation(model: str, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"morph.{suffix}"
    arguments = ["morph", "--model", model, "--from", "tench", "--to", "golf ball", "--steps", "5", "--seed", "1"]
    output_of(main, *arguments, "--out", out)
    with Image.open(out) as read:
        assert (read.n_frames, read.size) == (5, (32, 32))
        if suffix != "gif":  # which has too few colours
            read.seek(4)
            last = torch.from_numpy(np.array(read.convert("RGB"))).permute(2, 0, 1)
            assert torch.equal(last, sample(build(4), classes=[2], seed=1)[0])


def test_morph_writes_a_strip(model: str, tmp_path: Path) -> None:
    out = tmp_path / "morph.png"
    output_of(main, "morph", "--model", model, "--from", "0", "--to", "3", "--steps", "4", "--out", out)
    assert torch.equal(pixels(out), to_grid(morph(build(4), from_class=0, to_class=3, steps=4), columns=4))


def test_walks_and_mixtures_are_the_librarys(model: str, plain_model: str, tmp_path: Path) -> None:
    common = ["--seed", "4", "--truncation", "0.9", "-o"]
    walking = ["walk", "--model", model, "--class", "tench", "--to-seed", "7", "--steps", "5", *common]
    output_of(main, *walking, tmp_path / "walk.png", "--columns", "3")
    images = walk(build(4), "tench", seed=4, to_seed=7, steps=5, truncation=0.9)
    assert torch.equal(pixels(tmp_path / "walk.png"), to_grid(images, columns=3))
    said = output_of(main, "walk", "--model", plain_model, "--to-seed", "1", "--steps", "2", *common, tmp_path / "w")
    assert said == f"{tmp_path / 'w'}: 2 images, 32 px, seed 4\n"
    assert sorted(path.name for path in (tmp_path / "w").iterdir()) == ["walk-seed-4-0000.png", "walk-seed-4-0001.png"]
    mixing = ["mixture", "--model", model, "--class", "golf ball", "0", "-n", "5", *common]
    output_of(main, *mixing, tmp_path / "mixed.png", "--weight", "3", "1")
    images = mixture(build(4), {2: 3.0, 0: 1.0}, n=5, seed=4, truncation=0.9)
    assert torch.equal(pixels(tmp_path / "mixed.png"), to_grid(images, columns=3))
    output_of(main, *mixing, tmp_path / "mixed.npz")
    with np.load(tmp_path / "mixed.npz") as read:  # the class weights, equal where none are given
        assert read["arr_1"].tolist() == [[0.5, 0, 0.5, 0]] * 5


def test_latents_by_name_are_the_librarys(model: str, plain_model: str, tmp_path: Path) -> None:
    name = "7:3~0.2~(11:2~0.5~1:0:0.7)"
    common = ["--model", model, "--latent", name, "-o"]
    said = output_of(main, "sample", "--class", "2", "0", *common, tmp_path / "s.npz")
    assert said == f"{tmp_path / 's.npz'}: 2 images of golf ball, tench, Tinca tinca, 32 px, latent {name}\n"
    output_of(main, "morph", "--from", "2", "--to", "0", "--steps", 3, *common, tmp_path / "m.npz")
    output_of(main, "mixture", "--class", "2", "0", "-n", 1, *common, tmp_path / "x.npz")
    walking = ["--class", "2*0.7+0*0.3", "--to-seed", 5, "--truncation", 0.5, "--steps", 3]
    said = output_of(main, "walk", *walking, *common, tmp_path / "w.npz")
    assert "3 images of golf ball, tench, Tinca tinca, 32 px, latent" in said
    G, kept = build(4), {"output": "numpy", "latent": name}
    for file, images in (
        ("s", sample(G, [2, 0], **kept)),
        ("m", morph(G, 2, 0, steps=3, **kept)),
        ("x", mixture(G, {2: 1, 0: 1}, **kept)),
        ("w", walk(G, "2*0.7+0*0.3", to_seed=5, truncation=0.5, steps=3, **kept)),
    ):
        with np.load(tmp_path / f"{file}.npz") as read:
            assert np.array_equal(read["arr_0"], images)
    with np.load(tmp_path / "w.npz") as read:
        assert read["arr_1"].tolist() == [np.float32([0.3, 0, 0.7, 0]).tolist()] * 3
    output_of(main, "sample", "--class", "2", *common, tmp_path / "folder")
    walking = ["walk", "--model", plain_model, "--latent", "1:1", "--to-seed", 5, "--steps", 2]
    output_of(main, *walking, "-o", tmp_path / "w")
    found = sorted(path.name for folder in ("folder", "w") for path in (tmp_path / folder).iterdir())
    assert found == ["class-0002-latent-0000.png", "walk-latent-0000.png", "walk-latent-0001.png"]


def test_variations_and_crosses_are_the_librarys(model: str, plain_model: str, tmp_path: Path) -> None:
    varying = ["vary", "--model", model, "--class", "2", "--latent", "7:3", "-o", tmp_path / "vary.png"]
    said = output_of(main, *varying, "--radius", 0.35, "-n", 5, "--seed", 4)
    assert said == f"{tmp_path / 'vary.png'}: 5 images of golf ball, 32 px, latent 7:3, seed 4\n"
    images = vary(build(4), 2, latent="7:3", radius=0.35, n=5, seed=4)
    assert torch.equal(pixels(tmp_path / "vary.png"), to_grid(images, columns=3))
    output_of(main, *varying)
    images = vary(build(4), 2, latent="7:3", n=16)
    assert torch.equal(pixels(tmp_path / "vary.png"), to_grid(images, columns=4))
    crossing = ["--latent", "7:3", "--to-latent", "7:3~0.5~8:0", "-o", tmp_path / "cross.png"]
    said = output_of(main, "cross", "--model", model, "--class", "2", "--to-class", "2*1+0*2", "--steps", 3, *crossing)
    assert said.endswith(": 9 images of golf ball, tench, Tinca tinca, 32 px, latent 7:3, latent 7:3~0.5~8:0\n")
    images = cross(build(4), "7:3", "7:3~0.5~8:0", 2, "2*1+0*2", steps=3)
    assert torch.equal(pixels(tmp_path / "cross.png"), to_grid(images, columns=3))
    output_of(main, "cross", "--model", plain_model, *crossing)
    images = cross(build(0), "7:3", "7:3~0.5~8:0", steps=4)
    assert torch.equal(pixels(tmp_path / "cross.png"), to_grid(images, columns=1))
    output_of(main, "vary", "--model", plain_model, "--latent", "7:3", "-n", 1, "-o", tmp_path / "folder")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["vary-latent-0000.png"]


def test_classes_are_listed_and_searched(model: str, tmp_path: Path) -> None:
    lines = output_of(main, "classes", "--model", model).splitlines()
    assert lines[:2] == ["0\tn01440764\ttench, Tinca tinca", "1\tn02012849\tcrane"]
    assert len(lines) == 4
    found = output_of(main, "classes", "--model", model, "--search", "cran")
    assert found == "1\tn02012849\tcrane\n3\tn03126707\tcrane\n"
    build(0, num_classes=3).save_pretrained(tmp_path)
    assert output_of(main, "classes", "--model", tmp_path) == "0\n1\n2\n"


@pytest.mark.parametrize(("dtype", "largest"), [("float64", 1), ("bfloat16", 30), ("float16", 4)])
def test_weights_and_arithmetic_of_another_type(model: str, tmp_path: Path, dtype: str, largest: int) -> None:
    out = tmp_path / "grid.png"
    output_of(main, "sample", "--model", model, "--class", "all", "-n", "2", "--dtype", dtype, "-o", out)
    single = to_grid(sample(build(4), [0, 0, 1, 1, 2, 2, 3, 3]), columns=2).int()
    difference = (pixels(out).int() - single).abs().max()
    assert difference <= largest  # of 255; 8 significand bits in bfloat16, 11 in float16
    assert difference or dtype == "float64"


def test_a_runs_folder_is_a_model_and_which_checkpoint_is_said(tmp_path: Path) -> None:
    run = tmp_path / "ru\x1bn"
    folder = run / "checkpoints" / "step-00000007"
    build(4).save_pretrained(folder)
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    (folder / "state.json").write_text(json.dumps({"files": files}))
    words = ("sample", "--model", run, "--class", "2", "-n", "1", "-o", tmp_path / "one.png")
    note = f"{tmp_path / 'ru?n'}: a run; its newest checkpoint is taken, step-00000007\n"
    assert called(main, *words) == (0, f"{tmp_path / 'one.png'}: 1 image of golf ball, 32 px, seed 0\n", note)
    assert torch.equal(pixels(tmp_path / "one.png"), sample(build(4), 2)[0])
    assert called(main, *words, "--quiet")[2] == ""
    assert logging.getLogger("sngan_cond").handlers == []


def test_a_bar_is_for_terminals_and_work_that_lasts(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["sample", "--model", model, "--class", "0", "-n", "4", "--batch-size", "1", "-o", str(tmp_path / "a.npy")]
    for wait_s, terminal, quiet in ((0, True, False), (60, True, False), (0, False, False), (0, True, True)):
        monkeypatch.setattr(commands, "_BAR_AFTER_S", wait_s)
        with contextlib.redirect_stderr(io.StringIO()) as shown, contextlib.redirect_stdout(io.StringIO()):
            monkeypatch.setattr(shown, "isatty", lambda terminal=terminal: terminal)
            assert main([*words, *["--quiet"] * quiet]) == 0
        assert ("/4 [" in shown.getvalue()) == (wait_s == 0 and terminal and not quiet)


def test_a_reader_who_leaves_is_no_mistake(model: str) -> None:
    read, write = os.pipe()
    os.close(read)
    with (
        os.fdopen(write, "w") as gone,
        contextlib.redirect_stdout(gone),
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        assert main(["classes", "--model", model]) == 0
    assert err.getvalue() == ""


def test_an_interrupt_leaves_nothing(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> Iterator[torch.Tensor]:
        yield torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
        raise KeyboardInterrupt

    monkeypatch.setattr(sampling, "generate", interrupted)
    for name in ("a.png", "a.npz", "folder"):
        words = ("sample", "--model", model, "--class", "0", "-n", "4", "-o", tmp_path / name)
        assert called(main, *words) == (130, "", "")
    assert list(tmp_path.iterdir()) == []


def test_convert_makes_a_model_of_a_snapshot(tmp_path: Path) -> None:
    snapshot, folder = save(tmp_path / "G.npz", generator_arrays(32, ch=2, dim_z=3, classes=1000)), tmp_path / "model"
    said = output_of(main, "convert", "--chainer", snapshot, "--out", folder)
    assert "resnet, 32 px, 1000 classes" in said
    line = ("sample", "--model", folder, "--n", 1, "--out", tmp_path / "grid.png", "--class")
    assert "of golden retriever, 32 px" in output_of(main, *line, "golden retriever")
    several = "class 'crane' means several: 134 / n02012849 / crane bird, 517 / n03126707 / crane"
    assert several in refused(*line, "crane")
    assert "near are 207 / n02099601 / golden retriever" in refused(*line, "goldn retriever")


def test_info(model: str, plain_model: str) -> None:
    text = output_of(main, "info", "--model", model)
    parameters = sum(parameter.numel() for parameter in build(4).parameters())
    assert f"{model}: generator, resnet, 32 px, 4 classes, {parameters:,} parameters" in text
    assert 'class_names: ["tench, Tinca tinca", "crane", "golf ball", "crane"]' in text
    assert "latent_dim: 8" in text
    assert "metrics.json: 1 metrics" in text
    assert '"protocol": "quick"' in text
    assert "step: 1200" in text
    assert "\x1b" not in text  # nobody's escape codes reach the terminal
    card = output_of(main, "info", "--model", model, "--card")
    assert card == (Path(model) / "README.md").read_text().replace("\x1b", "?")
    text = output_of(main, "info", "--model", plain_model)
    assert "no classes" in text
    assert "metrics.json: none" in text


def test_info_shortens_a_thousand_names(tmp_path: Path) -> None:
    snapshot = save(tmp_path / "G.npz", generator_arrays(32, ch=1, dim_z=2, classes=1000))
    output_of(main, "convert", "--chainer", snapshot, "--out", tmp_path / "m")
    text = output_of(main, "info", "--model", tmp_path / "m")
    assert re.search(r'class_names: \["tench", .*\] and 992 more\n', text)
    assert len(text) < 4000


@pytest.mark.parametrize(
    "verb", ["sample", "morph", "walk", "mixture", "vary", "cross", "classes", "info", "convert", "export"]
)
def test_help_states_types_units_and_defaults(verb: str) -> None:
    text = " ".join(output_of(main, verb, "--help").split())
    if verb in ("sample", "morph", "walk", "mixture"):
        assert "Implementations disagree on this word" in text
        assert "standard deviations" in text
        assert text.count("(default: ") >= 5
        assert "--latent NAME one latent by its name, in the place of what --seed and --truncation draw" in text
    if verb in ("vary", "cross"):
        assert "7:3~0.2~11:2" in text
        assert text.count("(default: ") >= 5
    assert "user/name@revision" in text or verb == "convert"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["sample", "--help"], ["sample", "--n", "many"]])
def test_help_version_and_wrong_flags_do_not_wait_for_torch(arguments: list[str]) -> None:
    code = f"""
import sys
from sngan_cond.cli import main
try:
    main({arguments})
finally:
    assert "torch" not in sys.modules
"""
    assert "AssertionError" not in python("-c", code, status=2 if "many" in arguments else 0).stderr


@pytest.mark.slow
def test_the_package_imports_torch_with_the_first_name_that_needs_it() -> None:
    code = """
import sys
import sngan_cond
listed = dir(sngan_cond)
assert set(sngan_cond.__all__) <= set(listed), listed
assert sorted(sngan_cond._MODULE_OF) == sorted(sngan_cond.__all__)
assert "torch" not in sys.modules
for name in sngan_cond.__all__:
    assert getattr(sngan_cond, name).__name__ == name
assert "torch" in sys.modules
try:
    sngan_cond.smaple
except AttributeError as error:
    assert str(error) == "module 'sngan_cond' has no attribute 'smaple'", error
else:
    raise AssertionError("an unknown name was found")
"""
    assert python("-c", code).stderr == ""


# What only the trainer and the page need. Not yaml, which huggingface_hub imports for itself; that our own code does
# not is the import linter's to say.
OPTIONAL = ("accelerate", "gradio", "torchvision", "torch_fidelity", "torchmetrics", "timm", "matplotlib", "pydantic")


@pytest.mark.slow
def test_sampling_needs_only_the_core_dependencies(model: str, tmp_path: Path) -> None:
    out = tmp_path / "grid.png"
    arguments = ["sample", "--model", model, "--class", "tench", "--n", "2", "--out", str(out)]
    code = f"""
import sys, torch
sys.modules.update(dict.fromkeys({(*OPTIONAL, "train", "app")}))
state = torch.get_rng_state()
import sngan_cond, sngan_cond.convert, sngan_cond.objectives, sngan_cond.hub.pretrained
from sngan_cond.cli import main
assert torch.equal(torch.get_rng_state(), state), "importing draws numbers"
assert "PIL" not in sys.modules, "only writing images needs Pillow"
assert main({arguments}) == 0
"""
    assert python("-c", code).stderr == ""
    assert torch.equal(pixels(out), to_grid(sample(build(4), classes=[0, 0]), columns=2))


@pytest.mark.slow
def test_as_a_module(model: str) -> None:
    result = python("-m", "sngan_cond", "info", "--model", model)
    assert result.stderr == ""
    assert result.stdout.startswith(f"{model}: generator")
