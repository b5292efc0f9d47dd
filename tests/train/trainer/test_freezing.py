"""Frozen lower layers of D: what stays, what goes on, and what is refused."""

from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from sngan_cond import ConstraintConfig, Discriminator, DiscriminatorConfig, Generator, GeneratorConfig, LossConfig
from sngan_cond.constraints.build import build_constraint
from sngan_cond.objectives import DiscriminatorBatch, GeneratorBatch
from tests.refusals import refused
from tests.train.launch import refused_run, tiny_command
from train.errors import TrainError
from train.presets.load import load_config
from train.trainer.freezing import check_frozen, freeze
from train.trainer.start import StartModel
from train.trainer.update import Updates

SHAPE = {"resolution": 32, "num_classes": 3, "channels": 4}


def test_frozen_blocks_keep_their_weights_and_move_their_u() -> None:
    torch.manual_seed(0)
    G, D = Generator(GeneratorConfig(latent_dim=4, **SHAPE)), Discriminator(DiscriminatorConfig(**SHAPE))
    constraint = build_constraint(ConstraintConfig(gamma="shared", gradient_penalty=1.0))
    constraint.attach(D)
    freeze(D, 2)
    opt_g, opt_d = (torch.optim.Adam(network.parameters(), lr=1e-2) for network in (G, D))
    updates = Updates(
        Accelerator(cpu=True), G=G, D=D, opt_g=opt_g, opt_d=opt_d, constraint=constraint, loss=LossConfig()
    )
    y, before = torch.tensor([0, 2, 1]), {name: tensor.clone() for name, tensor in D.state_dict().items()}
    frozen = ("trunk.blocks.0.", "trunk.blocks.1.")
    updates.step_g([GeneratorBatch(torch.randn(3, 4), y)])
    updates.step_d([DiscriminatorBatch(torch.rand(3, 3, 32, 32) * 2 - 1, y, torch.randn(3, 4), y)])
    asked = {name: parameter.requires_grad for name, parameter in D.named_parameters()}
    assert asked == {name: not name.startswith(frozen) for name in asked}
    for name, tensor in D.state_dict().items():
        stays = name.startswith(frozen) and not name.endswith(".u")
        assert torch.equal(tensor, before[name]) == stays, name


@pytest.mark.parametrize(
    ("architecture", "resolution", "stages"), [("resnet", 64, 5), ("cnn", 16, 7), ("dcgan", 32, 3), ("mnist", 28, 3)]
)
def test_stages_go_up_from_the_image(architecture: str, resolution: int, stages: int) -> None:
    shape = {"architecture": architecture, "resolution": resolution, "channels": 2}
    D = Discriminator(DiscriminatorConfig(num_classes=0, head="unconditional", **shape))
    assert len(D.stages) == stages
    first = next(name for name, parameter in D.named_parameters() if parameter.ndim == 4)
    freeze(D, 1)
    assert not D.get_parameter(first).requires_grad
    assert sum(not parameter.requires_grad for parameter in D.parameters()) == len(list(D.stages[0].parameters()))


def test_an_autoencoder_has_none() -> None:
    shape = {"architecture": "cnn", "resolution": 16, "channels": 2}
    assert len(Discriminator(DiscriminatorConfig(num_classes=0, head="reconstruction", **shape)).stages) == 0


def test_frozen_weights_come_from_a_model_that_has_them(tmp_path: Path, tiny_data: Path) -> None:
    """The bundled one has a generator alone."""
    refused(lambda: load_config("tiny", ["freeze_d=2"]), "freeze_d=2 without init_from", by=TrainError)
    clipped = ["freeze_d=2", "init_from=bundled", "constraint.kind=none", "constraint.weight_clip=0.1"]
    refused(lambda: load_config("tiny", clipped), "freeze_d=2 with a constraint that clips", by=TrainError)
    sets = ("init_from=bundled", "generator.channels=32", "generator.latent_dim=64", "discriminator.channels=32")
    command = tiny_command(tiny_data, tmp_path / "run", *sets)
    refused_run([*command, "freeze_d=5"], "freeze_d=5: from 0 to 4 is allowed")
    words = "freeze_d=4 with init_from=bundled: weights made anew would never be trained, and the model has no discrim"
    refused_run([*command, "freeze_d=4"], words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "frozen", "words"),
    [
        ([], 5, ""),
        ([], 6, "and 5 of D's lowest blocks fit the model's; from 0 to 5 is allowed"),
        (["discriminator.channels=1"], 1, "and 0 of D's lowest blocks fit the model's; from 0 to 0 is allowed"),
        (["discriminator.channels=3"], 1, "and the model's does not fit: no block has the same shapes; 0 is allowed"),
        (["constraint.kind=weight"], 1, "and the model's does not fit: kind=spectral, this run's is weight; 0 is"),
    ],
)
def test_blocks_that_a_model_of_another_resolution_lacks_are_not_frozen(
    changes: list[str], frozen: int, words: str
) -> None:
    """D of 64 px has the first five of the six blocks of 128 px; those of half its width fit from the second one on."""
    model = Discriminator(DiscriminatorConfig(resolution=64, num_classes=3, channels=2))
    build_constraint(ConstraintConfig()).attach(model)
    start = StartModel(Generator(GeneratorConfig(latent_dim=4, **SHAPE)), model, [(), ()], {})
    sets = ["num_classes=2", "discriminator.channels=2", *changes, "init_from=a", f"freeze_d={frozen}"]
    config = load_config(None, sets)
    if words:
        refused(lambda: check_frozen(config, start), f"freeze_d={frozen} with init_from=a: ", words, by=TrainError)
    else:
        check_frozen(config, start)
