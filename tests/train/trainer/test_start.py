"""Starting a run from a model: by number, and a run of the command in the README."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file as load_numpy
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
from sngan_cond.hub.files import BUNDLED_FOLDER, ModelFiles
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
from train.trainer.matching import map_rows, match_classes
from train.trainer.start import StartModel, open_model, start_from

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
NONE, EMBED = "unconditional", "projection"
SOURCES = [(1,), (0,), (), (), (3,)]


def test_classes_are_matched_by_name_and_else_by_wordnet_id() -> None:
    assert match_classes(OLD, NEW, {}) == SOURCES
    assert match_classes(replace(OLD, class_names=None, class_ids=None), NEW, {}) == [()] * 5
    assert match_classes(OLD, replace(NEW, class_names=None), {}) == [(), (), (), (), (3,)]


def test_a_chosen_class_comes_before_one_of_the_same_name() -> None:
    chosen = {"Zebra": ("great_white shark",), "tench": ("n03126707", "0"), "4": ("1", "2")}
    assert match_classes(OLD, NEW, chosen) == [(1,), (3, 0), (1,), (), (1, 2)]


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"zebre": ("tench",)}, ("zebre, of this run: class 'zebre' is unknown", "near are 2 / n00000003 / zebra")),
        ({"zebra": ("tenc",)}, ("zebra, of the model: class 'tenc' is unknown", "near are 0 / n01440764 / tench")),
        ({"zebra": ("4",)}, ("zebra, of the model: class '4' is unknown: an index from 0 to 3",)),
        ({"zebra": ("crane",)}, ("zebra, of the model: class 'crane' means several",)),
        ({"zebra": ("tench",), "2": ("tench",)}, ("2: the same class as zebra; each is allowed once",)),
    ],
)
def test_a_chosen_class_that_is_none_is_named(chosen: dict[str, tuple[str, ...]], words: tuple[str, ...]) -> None:
    refused(lambda: match_classes(OLD, NEW, chosen), *words)


def test_a_row_is_the_old_one_or_the_mean_of_all() -> None:
    rows = torch.tensor([[1.0, 2.0], [3.0, 5.0], [8.0, 2.0]])
    expected = torch.tensor([[8.0, 2.0], [4.0, 3.0], [1.0, 2.0], [8.0, 2.0]])
    assert torch.equal(map_rows(rows, [(2,), (), (0,), (2,)]), expected)
    assert torch.equal(map_rows(rows[:, 1], [(), (1,)]), torch.tensor([3.0, 5.0]))
    assert torch.equal(map_rows(rows, [(2, 1)]), torch.tensor([[5.5, 3.5]]))


STAGES = ("linear", "blocks.0", "blocks.1", "blocks.2", "norm", "conv")
Network = TypeVar("Network", bound=nn.Module)


def discriminator(classes: int, head: str, constraint: ConstraintConfig, *, seed: int) -> Discriminator:
    torch.manual_seed(seed)
    D = Discriminator(DiscriminatorConfig(resolution=32, channels=4, num_classes=classes, head=head))
    build_constraint(constraint).attach(D)
    return D


def randomised(network: Network) -> Network:
    """Gains start at 1 and biases at 0, all rows alike."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_()
    return network


def model_of(G: Generator, D: Discriminator | None, *, run: GeneratorConfig = NEW) -> StartModel:
    facts = {"source": "a", "step": None, "sha256": {"model.safetensors": "0" * 64}}
    return StartModel(G, D, match_classes(G.config, run, {}), facts)


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
        (
            "auxiliary_classifier",
            ConstraintConfig(kind="frobenius", gamma="shared", gamma_start="one", gamma_biases=True),
            ["head.classifier.parametrizations.weight.original", "head.classifier.parametrizations.bias.original"],
        ),
    ],
)
def test_networks_take_what_fits_and_map_what_has_a_row_a_class(
    head: str, constraint: ConstraintConfig, rows: list[str]
) -> None:
    old_G, old_D = randomised(Generator(OLD)), randomised(discriminator(4, head, constraint, seed=1))
    G, D = Generator(NEW), discriminator(5, head, constraint, seed=2)
    table = start_from(model_of(old_G, old_D), G, D, NEW).table
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
    assert table[2].endswith(
        "rows of their names for great white shark, TENCH; the machine from crane (n03126707); "
        "the mean of 4 rows for zebra, crane"
    )


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
    started = start_from(model_of(Generator(OLD), old), Generator(NEW), D, NEW)
    assert why in started.table[-1]
    assert started.discriminator == []
    fresh = discriminator(5, "projection", ConstraintConfig(), seed=2).state_dict()
    assert all(torch.equal(tensor, fresh[name]) for name, tensor in D.state_dict().items())


def pair(resolution: int, channels: int, *, seed: int) -> tuple[Generator, Discriminator]:
    torch.manual_seed(seed)
    G = Generator(replace(OLD, resolution=resolution, channels=channels))
    D = Discriminator(DiscriminatorConfig(resolution=resolution, channels=channels, num_classes=4))
    build_constraint(ConstraintConfig()).attach(D)
    return randomised(G), randomised(D)


# Of the ResNets by Tables 4 and 5 of Miyato et al. 2018: the stages of a run, with the model's that they take. Base
# widths are alike counted from the image, a model's of twice the run's where feature maps have 8 to 64 px.
AT_ONCE = {"network.linear": "network.linear", "network.norm": "network.norm", "network.conv": "network.conv"}
HEAD = {"head.linear": "head.linear", "head.embed": "head.embed"}
UP_G = {f"network.blocks.{i}": f"network.blocks.{i - 1}" for i in (1, 2, 3, 4)}
UP_D = {f"trunk.blocks.{i}": f"trunk.blocks.{i}" for i in (0, 1, 2, 3, 4)}


@pytest.mark.parametrize(
    ("old", "new", "of_g", "of_d", "says"),
    [
        (
            (64, 2),
            (128, 2),
            AT_ONCE | UP_G,
            HEAD | UP_D,
            (
                "generator      taken       57  as they are: linear, blocks.1-4 from its blocks.0-3, norm, conv",
                "generator      anew        16  blocks.0",
                "discriminator  taken       48  as they are: blocks.0-4, head.linear, head.embed",
                "discriminator  anew         6  blocks.5",
            ),
        ),
        (
            (128, 2),
            (64, 2),
            AT_ONCE | {mine: theirs for theirs, mine in UP_G.items()},
            HEAD | UP_D,
            ("generator      left        16  of the model's: blocks.0", "of the model's: blocks.5"),
        ),
        (
            (64, 4),
            (128, 2),
            {f"network.blocks.{i}": f"network.blocks.{i}" for i in (1, 2, 3)},
            {f"trunk.blocks.{i}": f"trunk.blocks.{i - 1}" for i in (2, 3, 4)},
            ("generator      anew        41  linear, blocks.0, blocks.4, norm, conv", "blocks.2-4 from its blocks.1-3"),
        ),
    ],
)
def test_stages_of_another_resolution_are_taken_where_they_fit(
    old: tuple[int, int], new: tuple[int, int], of_g: dict[str, str], of_d: dict[str, str], says: tuple[str, ...]
) -> None:
    (old_G, old_D), (G, D), (fresh_G, fresh_D) = pair(*old, seed=1), pair(*new, seed=2), pair(*new, seed=2)
    started = start_from(model_of(old_G, old_D, run=G.config), G, D, G.config)
    for network, model, fresh, stages, names in (
        (G, old_G, fresh_G, of_g, started.generator),
        (D, old_D, fresh_D, of_d, started.discriminator),
    ):
        assert set(names) == set(stages)
        before, unchanged = model.state_dict(), fresh.state_dict()
        for name, tensor in network.state_dict().items():
            stage = next((stage for stage in stages if name.startswith(f"{stage}.")), None)
            expected = unchanged[name] if stage is None else before[name.replace(stage, stages[stage])]
            assert torch.equal(tensor, expected), name
    assert [words for words in says if words not in "\n".join(started.table)] == [], started.table


def test_what_fits_of_a_cnn_is_all_but_the_layers_at_its_smallest_side() -> None:
    old = replace(OLD, architecture="cnn", channels=2)
    G, run = Generator(replace(old, resolution=64)), replace(old, resolution=64)
    before = G.network.linear.weight.clone()
    model = randomised(Generator(old))
    start_from(model_of(model, None, run=run), G, discriminator(4, "projection", ConstraintConfig(), seed=0), run)
    assert torch.equal(G.network.linear.weight, before)
    for name, tensor in model.state_dict().items():
        assert torch.equal(G.state_dict()[name], tensor) != name.startswith("network.linear"), name


def test_classes_may_come_and_go() -> None:
    """A generator that gets classes makes the same images for each; one that loses them has the mean of all gains."""
    without = replace(OLD, num_classes=0, class_names=None, class_ids=None)
    plain, G, z = randomised(Generator(without)).eval(), Generator(NEW).eval(), torch.randn(5, 5)
    old_D, D = (discriminator(classes, head, ConstraintConfig(), seed=2) for classes, head in ((0, NONE), (5, EMBED)))
    table = start_from(model_of(plain, randomised(old_D)), G, D, NEW).table
    torch.testing.assert_close(G.double()(z, range(5)), plain.double()(z))
    assert torch.equal(D.trunk.blocks[1].conv2.bias, old_D.trunk.blocks[1].conv2.bias)
    assert table[2].endswith("each class what the model, which has none, has for all")
    assert table[4].split() == ["discriminator", "anew", "2", "head.embed"]

    old_G, back = randomised(Generator(OLD)), Generator(without)
    table = start_from(model_of(old_G, None, run=without), back, D, without).table
    gains = old_G.network.blocks[2].norm1.gain.detach().numpy()
    np.testing.assert_allclose(back.network.blocks[2].norm1.weight.detach(), gains.mean(axis=0), rtol=1e-6)  # an ulp
    assert torch.equal(back.network.blocks[2].norm1.running_mean, old_G.network.blocks[2].norm1.norm.running_mean)
    assert table[2].split()[:3] == ["generator", "averaged", "12"]


def test_chosen_classes_start_from_rows_of_the_bundled_model() -> None:
    """Sneaker, bag and ankle boot are labels 7, 8 and 9 of Fashion-MNIST."""
    names = ("my shoe", "bag", "new")
    config = GeneratorConfig(
        resolution=32, channels=32, latent_dim=64, num_classes=3, class_names=names, class_ids=("x", "y", "z")
    )
    model, G = open_model("bundled", config, {"my shoe": ("Sneaker", "9"), "Z": ("8",)}), Generator(config)
    table = start_from(model, G, discriminator(3, "projection", ConstraintConfig(), seed=0), config).table
    name = "network.blocks.1.norm2.bias"
    rows = load_numpy(BUNDLED_FOLDER / "model.safetensors")[name]
    expected = np.stack([(rows[7] + rows[9]) / 2, rows[8], rows[8]])
    np.testing.assert_allclose(G.state_dict()[name].numpy(), expected, rtol=1e-6, atol=1e-9)
    assert "rows of their names for bag; my shoe from the mean of Sneaker and Ankle boot, new from Bag" in table[2]
    for chosen, words in (({"my sho": ("bag",)}, "my sho, of this run"), ({"new": ("bog",)}, "new, of the model")):
        refused(lambda: open_model("bundled", config, chosen), f"init_classes.{words}: class ", by=TrainError)  # noqa: B023


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
        ({"channels": 8}, ("has channels=4, this run asks for channels=8; --set generator.channels=4 fits",)),
        ({"resolution": 64, "latent": "uniform"}, ("--set resolution=32 generator.latent=normal fits",)),
    ],
)
def test_a_model_of_another_structure_is_refused(
    tmp_path: Path, changes: dict[str, Any], words: tuple[str, ...]
) -> None:
    Generator(OLD).save_pretrained(tmp_path / "model")
    config = replace(NEW, **changes)
    refused(lambda: open_model(str(tmp_path / "model"), config), "init_from=", *words, by=TrainError)


def test_a_width_at_which_blocks_of_another_resolution_fit_is_said(tmp_path: Path) -> None:
    Generator(replace(OLD, resolution=48, channels=2)).save_pretrained(tmp_path / "model")
    said = "has resolution=48, channels=2, this run asks for resolution=64, channels=3; --set generator.channels=2 fits"
    for channels, fits in ((3, False), (2, True)):
        config = replace(NEW, resolution=64, channels=channels)
        if fits:
            assert open_model(str(tmp_path / "model"), config).generator.config.resolution == 48
        else:
            refused(lambda: open_model(str(tmp_path / "model"), config), said, by=TrainError)  # noqa: B023


@pytest.mark.parametrize(
    "words",
    [
        "damaged or not safetensors",
        "weight trunk.blocks.0.conv1.bias holds NaN",
        "damaged or not safetensors ([Errno 21] Is a directory",
    ],
)
def test_a_damaged_discriminator_is_refused(tmp_path: Path, words: str) -> None:
    Generator(OLD).save_pretrained(tmp_path / "model")
    D = discriminator(4, "projection", ConstraintConfig(), seed=1)
    torch.nn.init.constant_(D.trunk.blocks[0].conv1.bias, math.nan)
    D.save_pretrained(tmp_path / "model")
    path = tmp_path / "model/discriminator.safetensors"
    if "directory" in words:  # and not taken for a model without one
        path.unlink()
        path.mkdir()
    elif "damaged" in words:
        path.write_bytes(path.read_bytes()[:-1])
    refused(lambda: open_model(str(tmp_path / "model"), OLD), f"init_from: {path}: {words}", by=TrainError)


@pytest.mark.parametrize("kept", [6, None])
def test_a_checkpoint_that_goes_while_it_is_read_is_left_for_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int | None
) -> None:
    """The run that trains there saves a newer one, if it has the time, and removes this one before D is read."""
    checkpoint = add_checkpoint(tmp_path / "run", 4)
    read = Generator.from_files

    def read_slowly(files: ModelFiles) -> Generator:
        G = read(files)
        if files.folder == checkpoint:
            if kept is not None:
                add_checkpoint(tmp_path / "run", kept)
            shutil.rmtree(checkpoint)
        return G

    monkeypatch.setattr(Generator, "from_files", read_slowly)
    if kept is None:
        refused(lambda: open_model(str(tmp_path / "run"), CONFIG), "init_from: ", "no checkpoint yet", by=TrainError)
    else:
        model = open_model(str(tmp_path / "run"), CONFIG)
        assert (model.facts["step"], model.discriminator is not None) == (kept, True)
        assert len(model.facts["sha256"]) == 2


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
    assert "rows of their names for bag; the mean of 10 rows for new" in capsys.readouterr().out
    G = Generator.from_pretrained(run_dir / "checkpoints/step-00000002")
    assert sample(G, ["Bag", "new"]).shape == (2, 3, 32, 32)
    shutil.rmtree(model)
    assert run_here([*command, "steps=3"]) == 0
    assert open_model(str(run_dir), G.config).facts["step"] == 3  # a run's folder is a model too
    record = json.loads((run_dir / "checkpoints/step-00000003/training.json").read_text())["init_from"]
    assert record["sha256"] == {"model.safetensors": sha256(BUNDLED_FOLDER / "model.safetensors")}
    assert record["taken"] == {"generator": [f"network.{stage}" for stage in STAGES]}
    refused_run([*command, "init_classes={new: sneaker}"], "holds a run with init_classes.new=None, asked for is ")
    for step in (2, 3):
        (run_dir / f"checkpoints/step-{step:08d}/discriminator.safetensors").unlink()
    shutil.copytree(BUNDLED_FOLDER, model)
    assert run_here(command) == 2
    assert "the run has no whole checkpoint (damaged are those of step 2, 3; " in capsys.readouterr().err
    assert run_here([*command[:3], "--start-anew", *command[3:]]) == 0
    assert f"beginning anew; what was left of the run is in {run_dir / 'lost-1'}\n" in capsys.readouterr().out


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
def test_a_start_before_the_first_checkpoint_has_the_same_weights_or_says_so(
    tmp_path: Path, tiny_data: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where the model is a run that trains on; nothing is left of the start before."""
    command = tiny_command(tiny_data, tmp_path / "run", f"init_from={model}")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "start", killed)
        assert [run_here(command), run_here(command)] == [130, 130]
    randomised(Discriminator.from_pretrained(model)).save_pretrained(model)
    assert "other weights" not in capsys.readouterr().out
    assert run_here(command) == 0
    assert f"came to no checkpoint, began with other weights behind init_from={model}" in capsys.readouterr().out
    assert json.loads((tmp_path / "run/init_from.json").read_text())["sha256"] == {
        path.name: sha256(path) for path in sorted(model.glob("*.safetensors"), reverse=True)
    }
