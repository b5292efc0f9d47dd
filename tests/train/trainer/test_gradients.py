"""Gradient norms of a discriminator's layers, and their ratios."""

import math

import pytest
import torch

from sngan_cond import ConstraintConfig, Discriminator, DiscriminatorConfig, build_constraint
from sngan_cond.constraints.weight_matrices import normalised_layers
from train.reproduction.gradients import gradient_norms, gradient_ratios


def network(**constraint: object) -> Discriminator:
    """A CNN without biases: homogeneous in every weight."""
    torch.manual_seed(0)
    D = Discriminator(
        DiscriminatorConfig(resolution=32, num_classes=0, architecture="cnn", head="unconditional", channels=4)
    )
    for name, parameter in D.named_parameters():
        if name.endswith("bias"):
            parameter.data.zero_()
    torch.manual_seed(1)
    build_constraint(ConstraintConfig(iterations=30, **constraint)).attach(D)
    return D.eval()


def images() -> torch.Tensor:
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(2))


def test_norms_are_those_of_an_unconstrained_network_with_the_same_weights() -> None:
    """Both sum the same float32 products; only their order may differ."""
    D = network(scale=1.3)
    found = gradient_norms(D, images(), None)
    plain = Discriminator(D.config)
    layers = dict(normalised_layers(plain))
    for name, layer in normalised_layers(D):
        layers[name].weight.data.copy_(layer.weight.detach())
        layers[name].bias.data.zero_()
    plain.eval()(images(), None).score.mean().backward()
    assert found == pytest.approx([layer.weight.grad.norm().item() for layer in layers.values()], rel=1e-4)


def test_factors_move_both_ratios_alike() -> None:
    """004 Proposition 2: with their product kept, factors leave D, and every layer's gradient goes by its inverse."""
    even, uneven = network(), network(scale_spread=0.7, scale_seed=4)
    x = images()
    torch.testing.assert_close(uneven(x, None).score, even(x, None).score, rtol=1e-4, atol=1e-5)
    deviation, correlation = gradient_ratios(even, x, None)
    assert deviation > 0.05
    assert math.isnan(correlation)
    moved_deviation, moved_correlation = gradient_ratios(uneven, x, None)
    assert moved_deviation == pytest.approx(deviation, rel=1e-3)
    assert 0.3 < moved_correlation < 1
