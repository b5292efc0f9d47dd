"""What one update notices, values that are not finite by network and first step; and how far it is from the command."""

import copy
import traceback
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from sngan_cond import Constraint, Discriminator, DiscriminatorConfig, Generator, GeneratorConfig, LossConfig
from sngan_cond.constraints import spectral
from sngan_cond.fast.power_iteration import power_iteration
from sngan_cond.objectives import DiscriminatorBatch, generator_objective
from tests.processes import ROOT
from tests.train.launch import run_here, tiny_command
from train.trainer.update import Updates


@pytest.fixture
def updates() -> Updates:
    torch.manual_seed(0)
    G = Generator(GeneratorConfig(architecture="cnn", resolution=16, num_classes=0, latent_dim=4, channels=2))
    config = DiscriminatorConfig(
        architecture="cnn", resolution=16, num_classes=0, head="unconditional", channels=2, top_size=0.1
    )
    D = Discriminator(config)
    accelerator = Accelerator(cpu=True)
    opt_g, opt_d = (torch.optim.Adam(network.parameters(), lr=1e-3) for network in (G, D))
    return Updates(accelerator, G=G, D=D, opt_g=opt_g, opt_d=opt_d, constraint=Constraint(), loss=LossConfig())


@pytest.mark.parametrize("name", ["D", "G"])
def test_a_gradient_that_is_not_finite_is_told_of_its_network_and_first_step(updates: Updates, name: str) -> None:
    """Also where the loss is finite, as under a penalty at a gradient of 0."""
    z = torch.randn(4, 4)
    network = updates.D if name == "D" else updates.G

    def update(step: int) -> None:
        updates.start_step(step, lr_g=1e-3, lr_d=1e-3)
        if name == "G":
            parts = updates.step_g([(z, None)])
        else:
            batch = DiscriminatorBatch(torch.rand(4, 3, 16, 16), None, z, None)
            parts = updates.step_d([batch])
        assert all(value.isfinite() for name, value in parts.items() if name != "gradient_norm")

    update(3)
    assert updates.first_nonfinite_step() == {}
    kept = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    for step in (5, 4, 6):
        hook = next(network.parameters()).register_hook(lambda gradient: gradient * torch.inf)
        update(step)
        hook.remove()
        network.load_state_dict(kept)  # so that the loss stays finite
    assert updates.first_nonfinite_step() == {name: 4}


def test_no_number_of_steps_that_accelerate_holds_divides_the_gradients(updates: Updates) -> None:
    """As ACCELERATE_GRADIENT_ACCUMULATION_STEPS sets it; micro-batches are the configuration's."""
    updates.accelerator.gradient_accumulation_steps = 4
    z, (D, G) = torch.randn(4, 4), copy.deepcopy((updates.D, updates.G))
    expected = torch.autograd.grad(generator_objective(D, G, z, None, loss=LossConfig()).total, list(G.parameters()))
    updates.step_g([(z, None)])
    for parameter, gradient in zip(updates.G.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-6, atol=0)


def test_ten_functions_lie_between_the_command_and_the_power_iteration(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever follows one D update reads these and no others."""
    stacks: list[list[str]] = []

    def noted(*arguments: object) -> object:
        frames = traceback.extract_stack()[:-1]
        rooms = (ROOT / "train", ROOT / "sngan_cond")
        ours = [frame.name for frame in frames if any(Path(frame.filename).is_relative_to(room) for room in rooms)]
        stacks.append([*ours, "power_iteration"])
        return power_iteration(*arguments)

    monkeypatch.setattr(spectral, "power_iteration", noted)
    assert run_here(tiny_command(tiny_data, tmp_path / "run", "steps=1")) == 0
    d_updates = [stack for stack in stacks if "_step_d" in stack]
    modules = ["forward"] * 5  # Discriminator, its trunk, a block, a convolution, the weight's normalisation
    path = ["main", "train", "_step_d", "discriminator_objective", *modules, "power_iteration"]
    assert path in d_updates
    assert max(map(len, d_updates)) == len(path) == 10
