"""Starting a run from a model: by number, and a run of the command in the README."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from sngan_cond import (
    ConstraintConfig,
    Discriminator,
    DiscriminatorConfig,
    Generator,
    GeneratorConfig,
    build_constraint,
    sample,
)
from sngan_cond.hub.files import BUNDLED_FOLDER
from tests.processes import run
from tests.refusals import refused
from tests.train.launch import TWO, refused_run, run_here, tiny_command
from tests.train.publishing.published_run import CONFIG, add_checkpoint
from train.data.dataset import PreparedDataset
from train.errors import TrainError
from train.files import sha256
from train.prepare import main as prepare
from train.presets.load import load_config
from train.run.run import Run
from train.trainer.start import StartModel, map_rows, match_classes, open_model, start_from, take

WIDTHS = ("generator.channels=32", "generator.latent_dim=64", "discriminator.channels=32")  # of the bundled model
NAMES, IDS = ("tench", "Great_White  Shark", "crane", "crane"), ("n01440764", "n01484850", "n02012849", "n03126707")
OLD = GeneratorConfig(resolution=32, channels=4, latent_dim=5, num_classes=4, class_names=NAMES, class_ids=IDS)
# The third is none of the model's; two are called what the model calls two of its own, and one goes by its id.
NEW = replace(
    OLD,
    num_classes=5,
    class_names=("great white shark", "TENCH", "zebra", "crane", "the machine"),
    class_ids=("n00000001", "n00000002", "n00000003", "n00000004", "n03126707"),
)
SOURCES = [1, 0, None, None, 3]


def test_classes_are_matched_by_name_and_else_by_wordnet_id() -> None:
    assert match_classes(OLD, NEW) == SOURCES
    assert match_classes(replace(OLD, class_names=None, class_ids=None), NEW) == [None] * 5
    assert match_classes(OLD, replace(NEW, class_names=None)) == [None, None, None, None, 3]


def test_a_row_is_the_old_one_or_the_mean_of_all() -> None:
    rows = torch.tensor([[1.0, 2.0], [3.0, 5.0], [8.0, 2.0]])
    expected = torch.tensor([[8.0, 2.0], [4.0, 3.0], [1.0, 2.0], [8.0, 2.0]])
    assert torch.equal(map_rows(rows, [2, None, 0, 2]), expected)
    assert torch.equal(map_rows(rows[:, 1], [None, 1]), torch.tensor([3.0, 5.0]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"b": None}, "b is in the run alone"),
        ({"c": torch.ones(1)}, "c is in the model alone"),
        ({"a": torch.ones(3, 2)}, "a has shape (3, 2), (2, 2) is allowed"),
        ({"b": torch.ones(4)}, "b has shape (4,), (3,) is allowed"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, torch.Tensor | None], words: str) -> None:
    """`a` has rows of two classes, of which the new network has four."""
    old = {"a": torch.ones(2, 2), "b": torch.ones(3)} | changes
    new = {"a": torch.zeros(4, 2), "b": torch.zeros(3)}
    given = {name: tensor for name, tensor in old.items() if tensor is not None}
    refused(lambda: take(given, new, {"a"}, [0, 1, None, 0], 2), words)


def discriminator(classes: int, head: str, constraint: ConstraintConfig, *, seed: int) -> Discriminator:
    torch.manual_seed(seed)
    D = Discriminator(DiscriminatorConfig(resolution=32, channels=4, num_classes=classes, head=head))
    build_constraint(constraint).attach(D)
    return D


def randomised(network: nn.Module) -> nn.Module:
    """Gains start at 1 and biases at 0, all rows alike."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_()
    return network


def model_of(G: nn.Module, D: Discriminator | None) -> StartModel:
    facts = {"source": "a", "step": None, "sha256": {"model.safetensors": "0" * 64}}
    return StartModel(OLD, G.state_dict(), D, facts)


def mapped(old: torch.Tensor) -> torch.Tensor:
    """`SOURCES` once more."""
    return torch.stack([old[1], old[0], old.mean(0), old.mean(0), old[3]])


@pytest.mark.parametrize(
    ("head", "constraint", "rows"),
    [
        (
            "projection",
            ConstraintConfig(),
            ["head.embed.parametrizations.weight.original", "head.embed.parametrizations.weight.0.u"],
        ),
        ("projection", ConstraintConfig(kind="none"), ["head.embed.weight"]),
        ("auxiliary_classifier", ConstraintConfig(kind="none"), ["head.classifier.weight", "head.classifier.bias"]),
        ("concat", ConstraintConfig(kind="none"), ["trunk.labels.embed.weight"]),
        (
            "auxiliary_classifier",
            ConstraintConfig(kind="weight", gamma="per_row"),
            [
                "head.classifier.bias",
                "head.classifier.parametrizations.weight.original",
                "head.classifier.parametrizations.weight.1.gamma",
            ],
        ),
    ],
)
def test_networks_take_what_fits_and_map_what_has_a_row_a_class(
    head: str, constraint: ConstraintConfig, rows: list[str]
) -> None:
    old_G, old_D = randomised(Generator(OLD)), randomised(discriminator(4, head, constraint, seed=1))
    G, D = Generator(NEW), discriminator(5, head, constraint, seed=2)
    table = start_from(model_of(old_G, old_D), G, D, NEW)
    for old, new in ((old_G, G), (old_D, D)):
        before, after = old.state_dict(), new.state_dict()
        by_class = {name for name in after if after[name].shape != before[name].shape}
        for name, tensor in after.items():
            expected = mapped(before[name]) if name in by_class else before[name]
            assert torch.equal(tensor, expected), name
        assert len(by_class) == 12 if new is G else by_class == set(rows)
    assert [line.split()[:2] for line in table[1:]] == [
        ["generator", "taken"],
        ["generator", "by"],
        ["discriminator", "taken"],
        ["discriminator", "by"],
    ]
    assert table[2].endswith("great white shark, TENCH, the machine; the mean of 4 rows for zebra, crane")


@pytest.mark.parametrize(
    ("why", "old_D"),
    [
        ("has no discriminator.safetensors", None),
        ("does not fit: kind=none, this run's is spectral", ("projection", ConstraintConfig(kind="none"))),
        ("does not fit: scale=2.0, this run's is 1.0", ("projection", ConstraintConfig(scale=2.0))),
        ("does not fit: head=concat, this run's is projection", ("concat", ConstraintConfig())),
    ],
)
def test_a_discriminator_that_does_not_fit_is_what_it_is_without_a_model(
    why: str, old_D: tuple[str, ConstraintConfig] | None
) -> None:
    old = None if old_D is None else discriminator(4, *old_D, seed=1)
    D = discriminator(5, "projection", ConstraintConfig(), seed=2)
    table = start_from(model_of(Generator(OLD), old), Generator(NEW), D, NEW)
    assert why in table[-1]
    fresh = discriminator(5, "projection", ConstraintConfig(), seed=2).state_dict()
    assert all(torch.equal(tensor, fresh[name]) for name, tensor in D.state_dict().items())


@pytest.mark.parametrize("gamma", ["none", "shared"])
def test_a_constrained_generator_takes_plain_weights(gamma: Literal["none", "shared"]) -> None:
    plain, G = randomised(Generator(OLD)), Generator(NEW)
    build_constraint(ConstraintConfig(kind="frobenius", gamma=gamma, gamma_start="one")).attach(G)
    start_from(model_of(plain, None), G, discriminator(5, "projection", ConstraintConfig(), seed=0), NEW)
    weight, gain = (plain.get_parameter(f"network.{name}") for name in ("conv.weight", "blocks.0.norm1.gain"))
    torch.testing.assert_close(G.network.conv.weight, weight / weight.norm())
    assert torch.equal(G.network.blocks[0].norm1.gain, mapped(gain))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"latent_dim": 6, "channels": 8},
            (
                "its generator has latent_dim=5, channels=4, this run asks for latent_dim=6, channels=8",
                "--set generator.latent_dim=5 generator.channels=4 fits",
            ),
        ),
        ({"resolution": 64}, ("has resolution=32, this run asks for resolution=64; --set resolution=32 fits",)),
        ({"num_classes": 0, "class_names": None, "class_ids": None}, ("num_classes=4, this run asks for 0; both",)),
    ],
)
def test_a_model_of_another_structure_is_refused(
    tmp_path: Path, changes: dict[str, Any], words: tuple[str, ...]
) -> None:
    Generator(OLD).save_pretrained(tmp_path / "model")
    config = replace(NEW, **changes)
    refused(lambda: open_model(str(tmp_path / "model"), config), "init_from=", *words, by=TrainError)


@pytest.mark.parametrize("words", ["damaged or not safetensors", "weight trunk.blocks.0.conv1.bias holds NaN"])
def test_a_damaged_discriminator_is_refused(tmp_path: Path, words: str) -> None:
    Generator(OLD).save_pretrained(tmp_path / "model")
    D = discriminator(4, "projection", ConstraintConfig(), seed=1)
    torch.nn.init.constant_(D.trunk.blocks[0].conv1.bias, math.nan)
    D.save_pretrained(tmp_path / "model")
    path = tmp_path / "model/discriminator.safetensors"
    if "damaged" in words:
        path.write_bytes(path.read_bytes()[:-1])
    refused(lambda: open_model(str(tmp_path / "model"), OLD), f"init_from: {path}: {words}", by=TrainError)


@pytest.mark.parametrize("name", ["model", "discriminator"])
def test_a_damaged_file_of_a_checkpoint_is_refused(tmp_path: Path, name: str) -> None:
    checkpoint = add_checkpoint(tmp_path / "run", 4)
    path = checkpoint / f"{name}.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")  # it is read as before, with another last number
    refused(lambda: open_model(str(checkpoint), CONFIG), f"{path}: damaged, its sha256", by=TrainError)


def test_a_gamma_that_starts_from_discarded_norms_is_refused() -> None:
    gamma = ["init_from=bundled", "constraint_g.kind=spectral", "constraint_g.gamma=per_layer"]
    refused(lambda: load_config("tiny", gamma), "init_from=bundled with constraint_g.gamma=per_layer", by=TrainError)
    assert load_config("tiny", [*gamma, "constraint_g.gamma_start=one"]).init_from == "bundled"


@pytest.fixture
def new_classes(tmp_path: Path) -> Path:
    """64 pictures of two classes, of which the bundled model knows one."""
    for label, name in enumerate(("bag", "new")):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(32):
            pixels = np.random.default_rng((label, i)).integers(0, 255, (32, 32, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"pictures/{name}/{i}.png")
    source = ["--source", f"imagefolder:{tmp_path / 'pictures'}", "--resolution", "32"]
    assert prepare([*source, "--out", str(tmp_path / "data")]) == 0
    return tmp_path / "data"


@pytest.mark.slow
def test_a_run_starts_from_the_bundled_model_and_then_needs_it_no_more(
    tmp_path: Path, new_classes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command of the README, in fewer and smaller steps."""
    model, run_dir = tmp_path / "model", tmp_path / "run"
    shutil.copytree(BUNDLED_FOLDER, model)
    command = tiny_command(
        new_classes, run_dir, "num_classes=2", f"init_from={model}", *WIDTHS, "steps=2", "ema.decay=0.5"
    )
    refused_run([word for word in command if word != WIDTHS[0]], "--set generator.channels=32 fits")
    assert not run_dir.exists()  # so that the same folder serves once the mistake is mended
    assert run_here(command) == 0
    assert "rows of their name or id for bag; the mean of 10 rows for new" in capsys.readouterr().out
    G = Generator.from_pretrained(run_dir / "checkpoints/step-00000002")
    assert sample(G, ["Bag", "new"]).shape == (2, 3, 32, 32)
    shutil.rmtree(model)
    assert run_here([*command, "steps=3"]) == 0
    assert open_model(str(run_dir), G.config).facts["step"] == 3  # a run's folder is a model too
    record = json.loads((run_dir / "checkpoints/step-00000003/training.json").read_text())["init_from"]
    assert record["sha256"] == {"model.safetensors": sha256(BUNDLED_FOLDER / "model.safetensors")}
    for step in (2, 3):
        (run_dir / f"checkpoints/step-{step:08d}/discriminator.safetensors").unlink()
    assert run_here(command) == 2
    assert "no checkpoint there is whole; remove them to begin anew from init_from" in capsys.readouterr().err


@pytest.fixture
def model(tmp_path: Path, tiny_data: Path) -> Path:
    """A model of the tiny run's ten classes in another order, with a discriminator."""
    tiny, names = load_config("tiny"), tuple(PreparedDataset.open(tiny_data).class_names[::-1])
    randomised(Generator(replace(tiny.generator, class_names=names))).save_pretrained(tmp_path / "model")
    D = randomised(discriminator(10, "projection", tiny.constraint, seed=1))
    D.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_every_process_starts_from_the_model(
    tmp_path: Path, tiny_data: Path, model: Path, capsys: pytest.CaptureFixture[str], processes: int
) -> None:
    still = ("steps=1", "optim_g.lr=1e-30", "optim_d.lr=1e-30", "d_updates_per_step=1")
    command = tiny_command(tiny_data, tmp_path / "run", f"init_from={model}", *still)
    if processes == 1:
        assert run_here(command) == 0
        said = capsys.readouterr().out
    else:
        said = run([*TWO, *command[1:]]).stdout
    assert said.count("discriminator  taken") == 1
    checkpoint = tmp_path / "run/checkpoints/step-00000001"
    for before, after in (("model", "generator"), ("discriminator", "discriminator")):
        old, new = (
            load_file(folder / f"{name}.safetensors") for folder, name in ((model, before), (checkpoint, after))
        )
        for name, tensor in old.items():
            if name.endswith((".u", "running_mean", "running_var", "num_batches_tracked")):
                continue  # an update moves them
            by_class = tensor.ndim == 2 and len(tensor) == 10  # no other matrix has ten rows
            expected = tensor.flip(0) if by_class else tensor
            assert torch.equal(new[name], expected), name


@pytest.mark.slow
def test_a_start_before_the_first_checkpoint_has_the_same_weights_or_is_refused(
    tmp_path: Path, tiny_data: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tiny_command(tiny_data, tmp_path / "run", f"init_from={model}")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "start", killed)
        assert [run_here(command), run_here(command)] == [130, 130]
    randomised(Discriminator.from_pretrained(model)).save_pretrained(model)
    refused_run(command, "its run began with other weights behind init_from=")
