"""`train` against a run written a second time: every tensor of its checkpoints, what it logs, what it draws."""

import copy
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from sngan_cond import Generator, GeneratorConfig
from sngan_cond.hub.checkpoints import state_text
from tests.processes import run
from tests.train.launch import TWO, float64_on_the_cpu, logged, run_here, weights
from tests.train.trainer.reference_run import ReferenceRun, Settings, source

# No two values are alike, so that none can stand for another.
SETTINGS: Settings = {
    "resolution": 32,
    "num_classes": 10,
    "architecture": "resnet",
    "generator": {"channels": 4, "latent_dim": 13, "latent": "normal"},
    "discriminator": {"channels": 5, "head": "projection"},
    "constraint": {"kind": "spectral"},
    "constraint_g": {"kind": "none"},
    "loss": {"kind": "hinge"},
    "augment": {},
    "seed": 7,
    "steps": 5,
    "d_updates_per_step": 3,
    "batch_total": 14,  # 15 batches are 210 images, and there are 200
    "fakes_per_step": 18,
    "accumulate": 1,
    "optim_g": {"lr": 0.009, "beta1": 0.35, "beta2": 0.85, "eps": 0.016},
    "optim_d": {"lr": 0.006, "beta1": 0.25, "beta2": 0.75, "eps": 0.011},
    "decay_from": 1,
    "ema": {"decay": 0.65, "start": 2},
    "data": {"flip": True},
    "log_every": 3,
    "sample_every": 4,
    "save_every": 3,
    "samples_per_class": 2,
    "trackers": [],
}
RUNS: dict[str, Settings] = {
    "hinge": {},
    "clipping": {
        "num_classes": 0,
        "generator": {"latent": "uniform"},
        "discriminator": {"head": "unconditional"},
        "constraint": {"kind": "none", "weight_clip": 0.17},
        "loss": {"kind": "wasserstein"},
        "decay_from": None,
        "ema": {"decay": 0.0},
        "data": {"flip": False},
    },
    "gradient penalty": {
        "discriminator": {"head": "concat", "embed_dim": 3},
        "constraint": {"kind": "none", "gradient_penalty": 0.8},
        "loss": {"kind": "wasserstein"},
        "d_updates_per_step": 2,
        "batch_total": 20,
        "accumulate": 2,
        "decay_from": 3,
    },
    "spectral G": {
        "discriminator": {"head": "auxiliary_classifier"},
        "constraint_g": {"kind": "spectral"},
        "data": {"balance": "classes", "fake_labels": "data", "held_out": 0.17},
        "loss": {"kind": "non_saturating", "classification_d": 0.6, "classification_g": 0.45},
        "d_updates_per_step": 2,
    },
    "BEGAN": {
        "num_classes": 0,
        "architecture": "cnn",
        "discriminator": {"head": "reconstruction", "error": "l2"},
        "constraint": {"kind": "none", "gradient_penalty": 8.0},
        "optim_d": {"lr": 0.02},
        "loss": {"kind": "began", "diversity": 0.55, "balance_rate": 0.16},
        "d_updates_per_step": 2,
    },
    "few images": {
        "constraint": {"kind": "none", "gradient_penalty": 0.8},
        "loss": {"kind": "hinge", "lecam": 0.7, "lecam_decay": 0.85},
        "augment": {
            "policy": ["color", "translation", "cutout"],
            "adaptive": True,
            "target": -0.95,  # passed and missed: the strength rises to 0.4, falls to 0.2 and ends at 0.6
            "adaptation_images": 160,
        },
        "d_updates_per_step": 2,
        "batch_total": 16,
        "fakes_per_step": 20,
        "accumulate": 2,
    },
}
SAVED, LAST = 3, 5
# Both run in float64. In float32 two orders of a sum may fall on two sides of a ReLU, which moves a gradient by up to a
# tenth: on one processor and not on the next. Measured in float64: 1e-14 of a tensor's largest value, 2e-8 with one
# of three other seeds. The limits stand above that, and far below the 1e-4 that the least of the planted slips moved.
RELATIVE, ABSOLUTE = 1e-7, 1e-9


def settings_of(name: str, data: Path) -> Settings:
    return changed(changed(SETTINGS, RUNS[name]), {"data": {"path": str(data)}})


def changed(settings: Settings, own: Settings) -> Settings:
    merged = copy.deepcopy(settings)
    for key, value in own.items():
        merged[key] = {**merged[key], **value} if isinstance(value, dict) else value
    return merged


def command(settings: Settings, folder: Path) -> list[str]:
    preset = folder.with_suffix(".yaml")
    preset.write_text(yaml.safe_dump(settings))
    return [sys.executable, "-m", "train", "--preset", str(preset), "--run-dir", str(folder)]


@pytest.fixture(scope="module", autouse=True)
def _float64_on_the_cpu() -> Iterator[None]:
    with float64_on_the_cpu():
        yield


def saved(folder: Path, step: int) -> dict[str, Tensor]:
    return weights(folder / f"checkpoints/step-{step:08d}")


@pytest.fixture(scope="module")
def hinge(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference") / "hinge"
    assert run_here(command(settings_of("hinge", tiny_data), folder)) == 0
    return folder


def tensors(reference: ReferenceRun) -> dict[str, Tensor]:
    """Everything a checkpoint holds, by file and name."""
    G, D = reference.replicas[0]
    files = {"generator": G.state_dict(), "discriminator": D.state_dict(), "model": reference.average.state_dict()}
    if reference.c["loss"]["kind"] == "began":
        files["objective"] = {"balance": reference.balance}
    if reference.c["augment"]:
        averages = {f"average_{side}": value for side, value in reference.averages.items()}
        files["objective"] = {"strength": reference.strength, **averages}
    for letter, adam in zip("gd", reference.adam, strict=True):
        steps = {name: torch.tensor(float(adam.t)) for name in adam.m}
        fields = {"exp_avg": adam.m, "exp_avg_sq": adam.v, "step": steps}
        files[f"optimizer_{letter}"] = {f"{name}/{field}": fields[field][name] for name in adam.m for field in fields}
    if reference.c["constraint_g"]["kind"] == "spectral":  # also as it goes on, beside the weights that act
        files["ema"], files["model"] = files["model"], acting(reference.average)
    found = {f"{file}.safetensors:{name}": tensor for file, named in files.items() for name, tensor in named.items()}
    return {name: tensor.detach().clone() for name, tensor in found.items()}


def acting(network: torch.nn.Module) -> dict[str, Tensor]:
    """State of the network with every constrained weight as it is used, by its plain name."""
    plain, used = network.state_dict(), copy.deepcopy(network)
    for name in [name for name in plain if "parametrizations" in name]:
        layer = name.partition(".parametrizations")[0]
        if name.endswith("original"):
            plain[f"{layer}.weight"] = used.get_submodule(layer).weight
        del plain[name]
    return plain


def differing(found: dict[str, Tensor], expected: dict[str, Tensor]) -> list[str]:
    """Names of the tensors that are not the same, counts to the last."""
    assert found.keys() == expected.keys()
    names = []
    for name, value in expected.items():
        counts = name.endswith(("/step", "num_batches_tracked"))
        limit = 0.0 if counts else RELATIVE * float(value.abs().max()) + ABSOLUTE
        error = float((found[name].double() - value.double()).abs().max())
        if not error <= limit:
            names.append(f"{name}: {error:.2g} > {limit:.2g}")
    return names


QUICK = ("hinge",)
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in RUNS if name not in QUICK]


@pytest.mark.parametrize("name", [*QUICK, *SLOW])
def test_a_run_is_what_the_papers_say(name: str, tiny_data: Path, tmp_path: Path, hinge: Path) -> None:
    settings, folder, world = settings_of(name, tiny_data), hinge if name == "hinge" else tmp_path / "run", 1
    if name in ("BEGAN", "few images"):  # their states, and what is drawn for each, are where processes could go wrong
        world = 2
        run([*TWO, "-m", "tests.train.in_float64", *command(settings, folder)[3:]], CUDA_VISIBLE_DEVICES="")
    elif name != "hinge":
        assert run_here(command(settings, folder)) == 0
    lines = {line["step"]: line for line in logged(folder)}
    assert list(lines) == [SAVED, LAST]
    reference = ReferenceRun(settings, tiny_data, world=world)
    before = tensors(reference)
    for step in range(1, LAST + 1):
        reference.step(step - 1)
        if step in lines:
            assert differing(saved(folder, step), tensors(reference)) == [], step
            ours = {key: value for key, value in lines[step].items() if key.startswith(("g/", "d/", "lr_"))}
            assert ours == pytest.approx(reference.logged, rel=1e-6, abs=1e-9), step  # logged in float32
            assert lines[step]["images_seen"] == step * settings["d_updates_per_step"] * settings["batch_total"]
    if settings["ema"]["decay"] == 0:  # to the bit, statistics as D's updates left them: the official code saves it so
        found = saved(folder, LAST)
        names = {key.partition(":")[2] for key in found if key.startswith("generator.")}
        assert all(torch.equal(found[f"model.safetensors:{n}"], found[f"generator.safetensors:{n}"]) for n in names)
    after = tensors(reference)
    for file, adam in zip(("generator", "discriminator"), reference.adam, strict=True):
        keys = [f"{file}.safetensors:{name}" for name in adam.m]
        moved = [key for key in keys if float((after[key] - before[key]).abs().max()) > 100 * ABSOLUTE]
        assert len(moved) > len(keys) / 2  # all but what no gradient reaches, such as biases before a batch norm


# One value of the reference is another one, of numbers by a hundredth where they can: the comparison notices.
WRONG: list[Settings] = [
    {"seed": 8},
    {"fakes_per_step": 17},
    {"decay_from": 2},
    {"data": {"flip": False}},
    {"ema": {"decay": 0.66}},
    {"ema": {"start": 3}},
    *({optimiser: {key: 1.01 * SETTINGS[optimiser][key]}}
      for optimiser in ("optim_g", "optim_d") for key in ("lr", "beta1", "beta2", "eps")),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_setting_that_is_off_is_noticed(wrong: Settings, tiny_data: Path, hinge: Path) -> None:
    reference = ReferenceRun(changed(settings_of("hinge", tiny_data), wrong), tiny_data)
    for step in range(SAVED):
        reference.step(step)
    assert len(differing(saved(hinge, SAVED), tensors(reference))) > 20


@pytest.mark.parametrize("name", SLOW)
def test_a_run_that_goes_on_from_a_checkpoint_ends_with_the_same_bits(
    name: str, tiny_data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    assert run_here(command(settings_of(name, tiny_data), folder)) == 0
    straight, log = saved(folder, LAST), list(map(unclocked, logged(folder)))
    shutil.rmtree(folder / f"checkpoints/step-{LAST:08d}")
    state = folder / f"checkpoints/step-{SAVED:08d}/state.json"
    noted = {**json.loads(state.read_text()), "seconds": 1000.0}
    del noted["sha256"]
    state.write_text(state_text(noted))
    assert run_here(command(settings_of(name, tiny_data), folder)) == 0
    again = saved(folder, LAST)
    assert again.keys() == straight.keys()
    assert all(torch.equal(again[key], straight[key]) for key in straight)
    assert list(map(unclocked, logged(folder))) == log
    assert 1000 < json.loads((folder / "training.json").read_text())["seconds"] < 2000  # of all starts together


def unclocked(line: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in line.items() if key not in ("seconds", "images_per_second")}


def test_the_grid_shows_the_average_a_class_a_row(hinge: Path) -> None:
    config = GeneratorConfig.from_dict(json.loads((hinge / f"checkpoints/step-{LAST:08d}/config.json").read_text()))
    G = Generator(config).eval()
    G.load_state_dict({k.partition(":")[2]: v for k, v in saved(hinge, LAST).items() if k.startswith("model")})
    draw = source(SETTINGS["seed"], "samples")
    columns = torch.stack([torch.empty(13).normal_(generator=draw) for _ in range(2)])
    with Image.open(hinge / f"samples/step-{LAST:08d}.png") as picture:
        grid = pil_to_tensor(picture.convert("RGB"))
    for row in range(10):
        with torch.no_grad():
            images = (G(columns, torch.full((2,), row)) + 1) * 127.5
        for column in range(2):
            top, left = 2 + 34 * row, 2 + 34 * column
            cell = grid[:, top : top + 32, left : left + 32]
            assert float((images[column] - cell - 0.5).abs().max()) < 0.501, (row, column)  # cut to 8 bits
