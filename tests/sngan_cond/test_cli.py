"""The `sngan-cond` command, run as a user runs it."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sngan_cond import morph, sample
from sngan_cond.cli import main
from sngan_cond.images import to_grid
from tests.command_line import IDS, build, refused, save_conditional
from tests.processes import output_of, python
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
    assert torch.equal(pixels(out), to_grid(images, columns=4))


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


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_morph_writes_an_animation(model: str, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"morph.{suffix}"
    arguments = ["morph", "--model", model, "--from", "tench", "--to", "golf ball", "--steps", "5", "--seed", "1"]
    output_of(main, *arguments, "--out", out)
    with Image.open(out) as read:
        assert (read.n_frames, read.size) == (5, (32, 32))
        if suffix == "webp":  # a GIF has too few colours
            read.seek(4)
            last = torch.from_numpy(np.array(read.convert("RGB"))).permute(2, 0, 1)
            assert torch.equal(last, sample(build(4), classes=[2], seed=1)[0])


def test_morph_writes_a_strip(model: str, tmp_path: Path) -> None:
    out = tmp_path / "morph.png"
    output_of(main, "morph", "--model", model, "--from", "0", "--to", "3", "--steps", "4", "--out", out)
    assert torch.equal(pixels(out), to_grid(morph(build(4), from_class=0, to_class=3, steps=4), columns=4))


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
    text = output_of(main, "info", "--model", plain_model)
    assert "no classes" in text
    assert "metrics.json: none" in text


def test_info_shortens_a_thousand_names(tmp_path: Path) -> None:
    snapshot = save(tmp_path / "G.npz", generator_arrays(32, ch=1, dim_z=2, classes=1000))
    output_of(main, "convert", "--chainer", snapshot, "--out", tmp_path / "m")
    text = output_of(main, "info", "--model", tmp_path / "m")
    assert re.search(r'class_names: \["tench", .*\] and 992 more\n', text)
    assert len(text) < 4000


@pytest.mark.parametrize("verb", ["sample", "morph", "convert", "info"])
def test_help_states_types_units_and_defaults(verb: str) -> None:
    text = " ".join(output_of(main, verb, "--help").split())
    if verb in ("sample", "morph"):
        assert "Implementations disagree on this word" in text
        assert "standard deviations" in text
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


def test_as_a_module(model: str) -> None:
    result = python("-m", "sngan_cond", "info", "--model", model)
    assert result.stderr == ""
    assert result.stdout.startswith(f"{model}: generator")
