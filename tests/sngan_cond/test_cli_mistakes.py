"""Mistakes made with the `sngan-cond` command: one line each, status 2, nothing written."""

import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from sngan_cond import sampling
from sngan_cond.cli import main
from tests.command_line import refused, save_conditional
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
        (["sample", "--class", "0", "--n", "0"], "--n 0: from 1"),
        (["sample", "--class", "0", "--n", "2000000"], "--n 2000000: from 1, and with all classes up to 1000000"),
        (["sample", "--class", "0", "--n", "10000"], "a grid with 10000 images of 32 px in a line"),
        (["sample", "--class", "0", "--n", "many"], "argument --n: invalid int value: 'many'"),
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
        (["morph", "--from", "0", "--to", "2", "--steps", "1"], "--steps 1: an integer from 2 to 10000"),
        (["morph", "--from", "0", "--to", "2", "--steps", "9999"], "a grid with 9999 images"),
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
    assert "grid.jpg: a file ending in .png" in refused("sample", *common, tmp_path / "grid.jpg")
    (tmp_path / "folder.png").mkdir()
    assert "folder.png: a file ending in .png" in refused("sample", *common, tmp_path / "folder.png")
    (tmp_path / "file").write_text("mine")
    assert "file" in refused("sample", *common, tmp_path / "file")
    assert "file" in refused("sample", *common, tmp_path / "file" / "grid.png")
    morphing = ("--model", model, "--from", "0", "--to", "2", "--out")
    assert "m.mp4: a file ending in .gif, .webp or .png" in refused("morph", *morphing, tmp_path / "m.mp4")
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]


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
