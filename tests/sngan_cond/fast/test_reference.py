"""The reference that the benchmarks compare with computes what the package computes."""

import pytest
import torch

from benchmarks.reference import ReferenceUpdates, copy_weights
from sngan_cond import (
    ConstraintConfig,
    Discriminator,
    DiscriminatorConfig,
    Generator,
    GeneratorConfig,
    LossConfig,
    build_constraint,
)
from sngan_cond.objectives import DiscriminatorBatch, discriminator_objective, generator_objective

UNTIL_CONVERGED = 300


@pytest.mark.parametrize("resolution", [32, pytest.param(128, marks=pytest.mark.slow)])
def test_equal_to_rounding_once_both_power_iterations_have_converged(resolution: int) -> None:
    torch.manual_seed(0)
    g_config = GeneratorConfig(resolution=resolution, num_classes=5, channels=8)
    d_config = DiscriminatorConfig(resolution=resolution, num_classes=5, channels=8)
    G, D = Generator(g_config), Discriminator(d_config)
    constraint = build_constraint(ConstraintConfig())
    constraint.attach(D)
    reference = ReferenceUpdates(g_config, d_config, torch.device("cpu"))
    copy_weights(G, reference.G)
    copy_weights(D, reference.D)
    real, y = torch.rand(4, 3, resolution, resolution) * 2 - 1, torch.randint(5, (4,))
    z, y_fake = torch.randn(4, 128), torch.randint(5, (4,))
    with torch.no_grad():
        for _ in range(UNTIL_CONVERGED):
            D(real[:1], y[:1])
            reference.D(real[:1], y[:1])

    batch = DiscriminatorBatch(real, y, z, y_fake)
    ours = discriminator_objective(D, G, batch, loss=LossConfig(), constraint=constraint).total
    assert ours.item() == pytest.approx(reference.discriminator_loss(*batch[:4]).item(), rel=1e-5)
    ours = generator_objective(D, G, z, y_fake, loss=LossConfig()).total
    theirs = reference.generator_loss(z, y_fake)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-4)
    ours.backward()
    theirs.backward()
    theirs_by_name = dict(reference.G.named_parameters())
    for name, parameter in G.named_parameters():
        expected = theirs_by_name[name.removeprefix("network.")].grad
        if expected.norm() > 1e-3:  # those of biases before a batch norm are rounding noise
            assert ((parameter.grad - expected).norm() / expected.norm()).item() < 2e-3, name
