"""The `sngan-cond` command, run as a user runs it, mistakes included."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sngan_cond import Generator, GeneratorConfig, morph, sample
from sngan_cond.cli import main
from sngan_cond.images import to_grid
from tests.reference.fixtures import OFFICIAL
from tests.reference.synthetic import discriminator_arrays, generator_arrays, save

NAMES = ("tench, Tinca tinca", "crane", "golf ball", "crane")
IDS = ("n01440764", "n02012849", "n03445777", "n03126707")


def build(classes: int) -> Generator:
    """A tiny generator whose classes differ."""
    torch.manual_seed(classes)
    names = {"class_names": NAMES, "class_ids": IDS} if classes else {}
    G = Generator(GeneratorConfig(resolution=32, num_classes=classes, channels=4, latent_dim=8, **names))
    for layer in G.modules():
        if hasattr(layer, "gain"):
            torch.nn.init.normal_(layer.gain, 1, 0.5)
            torch.nn.init.normal_(layer.bias)
            layer.norm.running_var.fill_(1)
    return G.eval()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "conditional"
    training = {"step": 1200, "images_seen": 9600, "preset": "tiny\x1b[31m"}
    rows = [{"name": "frechet_stand_in", "value": 12.5, "protocol": "quick", "extractor": "random"}]
    build(4).save_pretrained(folder, training=training, metrics={"metrics": rows})
    return str(folder)


@pytest.fixture(scope="module")
def plain_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "unconditional"
    build(0).save_pretrained(folder)
    return str(folder)


def pixels(path: Path) -> torch.Tensor:
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that must fail, and return its one line."""
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        status = stop.code
    output = capsys.readouterr()
    assert status == 2
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert re.match(r"sngan-cond( \w+)?: error: ", output.err)
    return output.err


def test_sample_writes_a_row_a_class(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "grid.png"
    arguments = ["sample", "--model", model, "--class", "golf ball", "--class", "0", "--n", "3", "--seed", "5"]
    assert main([*arguments, "--out", str(out)]) == 0
    images = sample(build(4), classes=[2, 2, 2, 0, 0, 0], seed=5)
    assert torch.equal(pixels(out), to_grid(images, columns=3))
    assert capsys.readouterr().out == f"{out}: 6 pictures of golf ball, tench, Tinca tinca, 32 px, seed 5\n"
    again = tmp_path / "again.png"
    assert main([*arguments, "--out", str(again), "--device", "cpu"]) == 0
    assert again.read_bytes() == out.read_bytes()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["again.png", "grid.png", "new"]


def test_sample_truncates_and_batches(model: str, tmp_path: Path) -> None:
    out = tmp_path / "grid.png"
    arguments = ["sample", "--model", model, "--class", IDS[3], "--n", "4", "--truncation", "0.7", "--batch-size", "3"]
    assert main([*arguments, "--out", str(out)]) == 0
    images = sample(build(4), classes=[3] * 4, truncation=0.7, batch_size=3)
    assert torch.equal(pixels(out), to_grid(images, columns=4))


def test_sample_writes_single_pictures_into_a_folder(model: str, tmp_path: Path) -> None:
    out = tmp_path / "pictures"
    arguments = ["sample", "--model", model, "--class", "tench", "--class", "2", "--n", "2", "--out", str(out)]
    assert main([*arguments, "--seed", "9"]) == 0
    names = [f"class-{label:04d}-seed-9-{i:04d}.png" for label in (0, 2) for i in (0, 1)]
    assert sorted(path.name for path in out.iterdir()) == names
    images = sample(build(4), classes=[0, 0, 2, 2], seed=9)
    for name, image in zip(names, images, strict=True):
        assert torch.equal(pixels(out / name), image)
    (out / "notes.txt").write_text("mine")
    assert main([*arguments, "--seed", "10"]) == 0  # into the same folder
    assert len(list(out.iterdir())) == 9
    assert list(tmp_path.iterdir()) == [out]


def test_sample_without_classes(plain_model: str, tmp_path: Path) -> None:
    out = tmp_path / "grid.png"
    assert main(["sample", "--model", plain_model, "--n", "5", "--seed", "2", "--out", str(out)]) == 0
    assert torch.equal(pixels(out), to_grid(sample(build(0), n=5, seed=2), columns=3))
    folder = tmp_path / "folder"
    assert main(["sample", "--model", plain_model, "--n", "2", "--out", str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["seed-0-0000.png", "seed-0-0001.png"]


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_morph_writes_an_animation(model: str, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"morph.{suffix}"
    arguments = ["morph", "--model", model, "--from", "tench", "--to", "golf ball", "--steps", "5", "--seed", "1"]
    assert main([*arguments, "--out", str(out)]) == 0
    with Image.open(out) as read:
        assert (read.n_frames, read.size) == (5, (32, 32))
        if suffix == "webp":  # a GIF has too few colours
            read.seek(4)
            last = torch.from_numpy(np.array(read.convert("RGB"))).permute(2, 0, 1)
            assert torch.equal(last, sample(build(4), classes=[2], seed=1)[0])


def test_morph_writes_a_strip(model: str, tmp_path: Path) -> None:
    out = tmp_path / "morph.png"
    assert main(["morph", "--model", model, "--from", "0", "--to", "3", "--steps", "4", "--out", str(out)]) == 0
    assert torch.equal(pixels(out), to_grid(morph(build(4), from_class=0, to_class=3, steps=4), columns=4))


def test_convert_makes_a_model_of_a_snapshot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    snapshot, folder = save(tmp_path / "G.npz", generator_arrays(32, ch=2, dim_z=3, classes=1000)), tmp_path / "model"
    assert main(["convert", "--chainer", str(snapshot), "--out", str(folder)]) == 0
    assert "resnet, 32 px, 1000 classes" in capsys.readouterr().out
    out = tmp_path / "grid.png"
    assert main(["sample", "--model", str(folder), "--class", "golden retriever", "--n", "1", "--out", str(out)]) == 0
    assert "of golden retriever, 32 px" in capsys.readouterr().out
    assert "class 'crane' means several: 134 / n02012849 / crane bird, 517 / n03126707 / crane" in refused(
        capsys, "sample", "--model", folder, "--class", "crane", "--out", out
    )
    assert "near are 207 / n02099601 / golden retriever" in refused(
        capsys, "sample", "--model", folder, "--class", "goldn retriever", "--out", out
    )


def test_info(model: str, plain_model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--model", model]) == 0
    text = capsys.readouterr().out
    parameters = sum(parameter.numel() for parameter in build(4).parameters())
    assert f"{model}: generator, resnet, 32 px, 4 classes, {parameters:,} parameters" in text
    assert 'class_names: ["tench, Tinca tinca", "crane", "golf ball", "crane"]' in text
    assert "latent_dim: 8" in text
    assert "metrics.json: 1 metrics" in text
    assert '"protocol": "quick"' in text
    assert "step: 1200" in text
    assert "\x1b" not in text  # nobody's escape codes reach the terminal
    assert main(["info", "--model", plain_model]) == 0
    text = capsys.readouterr().out
    assert "no classes" in text
    assert "metrics.json: none" in text


def test_info_shortens_a_thousand_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    snapshot = save(tmp_path / "G.npz", generator_arrays(32, ch=1, dim_z=2, classes=1000))
    assert main(["convert", "--chainer", str(snapshot), "--out", str(tmp_path / "m")]) == 0
    assert main(["info", "--model", str(tmp_path / "m")]) == 0
    text = capsys.readouterr().out
    assert re.search(r'class_names: \["tench", .*\] and 992 more\n', text)
    assert len(text) < 4000


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
        (["sample", "--class", "0", "--batch-size", "0"], "batch_size=0: "),
        (["sample", "--class", "0", "--device", "tpu"], "argument --device: invalid choice: 'tpu'"),
        (["sample", "--clas", "0"], "unrecognized arguments: --clas 0"),
        (["morph", "--from", "0"], "the following arguments are required: --to"),
        (["morph", "--from", "0", "--to", "crane"], "class 'crane' means several"),
        (["morph", "--from", "0", "--to", "2", "--steps", "1"], "--steps 1: an integer from 2 to 10000"),
        (["morph", "--from", "0", "--to", "2", "--steps", "9999"], "a grid with 9999 images"),
        (["generate"], "invalid choice: 'generate'"),
    ],
)
def test_mistakes_take_one_line(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    line = refused(capsys, *arguments, "--model", model, "--out", tmp_path / "out.png")
    assert re.search(message, line)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["sample", "morph", "info"])
def test_missing_models(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = {
        "sample": ["--class", "0", "--out", tmp_path / "o.png"],
        "morph": ["--from", "0", "--to", "1", "--out", tmp_path / "o.gif"],
        "info": [],
    }[verb]
    assert "no-such-folder" in refused(capsys, verb, "--model", tmp_path / "no-such-folder", *arguments)
    (tmp_path / "empty").mkdir()
    assert "config.json" in refused(capsys, verb, "--model", tmp_path / "empty", *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_wrong_places_to_write(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ("--model", model, "--class", "0", "--n", "1", "--out")
    assert "grid.jpg: a file ending in .png" in refused(capsys, "sample", *common, tmp_path / "grid.jpg")
    (tmp_path / "folder.png").mkdir()
    assert "folder.png: a file ending in .png" in refused(capsys, "sample", *common, tmp_path / "folder.png")
    (tmp_path / "file").write_text("mine")
    assert "file" in refused(capsys, "sample", *common, tmp_path / "file")
    assert "file" in refused(capsys, "sample", *common, tmp_path / "file" / "grid.png")
    morphing = ("--model", model, "--from", "0", "--to", "2", "--out")
    assert "m.mp4: a file ending in .gif, .webp or .png" in refused(capsys, "morph", *morphing, tmp_path / "m.mp4")
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]


def test_a_full_disk_leaves_nothing(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls = Image.Image.save, []

    def full(self: Image.Image, target: Path, **options: object) -> None:
        calls.append(target)
        whole(self, target, **options)
        if len(calls) % 2 == 0:  # the second picture of the folder
            raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(Image.Image, "save", full)
    common = ("--model", model, "--class", "0", "--n", "3", "--out")
    assert "No space left on device" in refused(capsys, "sample", *common, tmp_path / "folder")
    calls.append(None)
    assert "No space left on device" in refused(capsys, "sample", *common, tmp_path / "grid.png")
    assert list(tmp_path.iterdir()) == []


def test_convert_refuses_what_is_no_generator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "model"
    line = refused(capsys, "convert", "--chainer", OFFICIAL / "tiny_d32_c5.npz", "--out", out)
    assert "tiny_d32_c5.npz: holds 'block1/c1/W' and no 'l1/W', so it is no generator's snapshot" in line
    assert "no such file" in refused(capsys, "convert", "--chainer", tmp_path / "absent.npz", "--out", out)
    arrays = generator_arrays(32, ch=1, dim_z=2, classes=2)
    del arrays["b5/gamma"]
    broken = save(tmp_path / "broken.npz", arrays)
    assert "missing keys 'b5/gamma'" in refused(capsys, "convert", "--chainer", broken, "--out", out)
    d = save(tmp_path / "d.npz", discriminator_arrays(32, ch=1))
    assert "no generator's snapshot" in refused(capsys, "convert", "--chainer", d, "--out", out)
    assert not out.exists()


@pytest.mark.parametrize("verb", ["sample", "morph", "convert", "info"])
def test_help_states_types_units_and_defaults(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    if verb in ("sample", "morph"):
        assert "Implementations disagree on this word" in text
        assert "standard deviations" in text
        assert text.count("(default: ") >= 5
    assert "user/name@revision" in text or verb == "convert"


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
import sngan_cond, sngan_cond.convert, sngan_cond.objectives, sngan_cond.hub
from sngan_cond.cli import main
assert torch.equal(torch.get_rng_state(), state), "importing draws numbers"
assert "PIL" not in sys.modules, "only who writes pictures needs Pillow"
assert main({arguments}) == 0
"""
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert torch.equal(pixels(out), to_grid(sample(build(4), classes=[0, 0]), columns=2))


def test_as_a_module(model: str) -> None:
    command = [sys.executable, "-m", "sngan_cond", "info", "--model", model]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{model}: generator")
