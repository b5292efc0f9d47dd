"""Initialisations, and clippings after an update, against their equations."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.sngan_cond.constraints.helpers import constrained, discriminator, layer_and_matrix, rows


@pytest.mark.parametrize("attached", [False, True])
def test_clipping_reaches_every_weight_and_no_bias(attached: bool) -> None:
    D = discriminator("cnn")
    constraint = constrained(D, kind="spectral" if attached else "none", weight_clip=0.01)
    raw = {name: p.detach().clone() for name, p in D.named_parameters()}
    constraint.after_step(D)
    for name, parameter in D.named_parameters():
        expected = raw[name] if name.endswith("bias") else raw[name].clamp(-0.01, 0.01)
        torch.testing.assert_close(parameter.detach(), expected, rtol=0, atol=0)
    assert float(max(p.detach().abs().max() for n, p in D.named_parameters() if n.endswith("bias"))) > 0.01


@pytest.mark.parametrize("kind", ["conv", "linear", "transposed"])
def test_singular_values_are_clipped_every_few_updates(kind: str) -> None:
    layer, _ = layer_and_matrix(kind)
    with torch.no_grad():
        layer.weight.mul_(3)
    raw = rows(layer)
    network = nn.Sequential(layer)
    values = torch.linalg.svdvals(raw)
    limit = float((values[0] + values[-1]) / 2)  # some are clipped and some are not
    constraint = constrained(network, kind="none", singular_clip_every=3, singular_clip=limit)
    for _ in range(2):
        constraint.after_step(network)
        assert torch.equal(rows(layer), raw)
    constraint.after_step(network)
    U, S, Vh = np.linalg.svd(raw.double().numpy(), full_matrices=False)
    expected = torch.from_numpy((U * np.minimum(S, limit)) @ Vh).float()
    torch.testing.assert_close(rows(layer), expected, rtol=1e-4, atol=1e-5)
    assert int(network.updates_since_clipping) == 0


@pytest.mark.parametrize("kind", ["conv", "linear", "transposed"])
def test_orthonormal_start(kind: str) -> None:
    layer, raw = layer_and_matrix(kind)
    constrained(layer, kind="none", init="orthonormal", init_scale=1.3)
    values = torch.linalg.svdvals(rows(layer))
    torch.testing.assert_close(values, torch.full_like(values, 1.3), rtol=1e-5, atol=1e-5)
    assert len(values) == min(raw.shape)


@pytest.mark.parametrize("scale", [1.0, 0.2])
def test_lecun_start(scale: float) -> None:
    torch.manual_seed(2)
    network = nn.Sequential(nn.Conv2d(16, 32, 3), nn.ConvTranspose2d(32, 16, 4), nn.Linear(256, 64))
    constrained(network, kind="none", init="lecun", init_scale=scale)
    for layer, fan_in in zip(network, (16 * 9, 32 * 16, 256), strict=True):
        weight = layer.weight.detach()
        # the estimate of a standard deviation from n values is off by about 1 / sqrt(2 n), here at most 1 %
        assert float(weight.std()) == pytest.approx(scale / math.sqrt(fan_in), rel=0.05)
        assert abs(float(weight.mean())) < 0.1 * float(weight.std())
