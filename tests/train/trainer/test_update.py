"""What one update notices: values that are not finite, by network and first step."""

import pytest
import torch
from accelerate import Accelerator

from sngan_cond import Constraint, Discriminator, DiscriminatorConfig, Generator, GeneratorConfig, LossConfig
from sngan_cond.objectives import DiscriminatorBatch
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
    optimisers = (torch.optim.Adam(network.parameters(), lr=1e-3) for network in (G, D))
    G, D, opt_g, opt_d = accelerator.prepare(G, D, *optimisers)
    return Updates(accelerator, G=G, D=D, opt_g=opt_g, opt_d=opt_d, constraint=Constraint(), loss=LossConfig())


@pytest.mark.parametrize("name", ["D", "G"])
def test_a_gradient_that_is_not_finite_is_told_of_its_network_and_first_step(updates: Updates, name: str) -> None:
    """Also where the loss is finite, as under a penalty at a gradient of 0."""
    z = torch.randn(4, 4)
    network = updates.unwrapped_D if name == "D" else updates.unwrapped_G

    def update(step: int) -> None:
        updates.start_step(step, lr_g=1e-3, lr_d=1e-3)
        if name == "G":
            parts = updates.step_g([(z, None)])
        else:
            batch = DiscriminatorBatch(torch.rand(4, 3, 16, 16), None, z, None)
            parts = updates.step_d([batch])
        assert all(value.isfinite() for value in parts.values())

    update(3)
    assert updates.first_nonfinite_step() == {}
    kept = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    for step in (5, 4, 6):
        hook = next(network.parameters()).register_hook(lambda gradient: gradient * torch.inf)
        update(step)
        hook.remove()
        network.load_state_dict(kept)  # so that the loss stays finite
    assert updates.first_nonfinite_step() == {name: 4}
