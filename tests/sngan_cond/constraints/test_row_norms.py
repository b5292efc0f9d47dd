"""Weight and Frobenius normalisation, gains, initialisations and clippings, against their equations."""

import math

import pytest
import torch
from torch import nn

from tests.sngan_cond.constraints.helpers import CONVERGED, constrained, discriminator, outputs_first


def layer_and_matrix(kind: str) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    layer = {
        "conv": nn.Conv2d(5, 7, 3),
        "linear": nn.Linear(9, 4),
        "transposed": nn.ConvTranspose2d(6, 4, 4),
        "embedding": nn.Embedding(6, 9),
    }[kind]
    return layer, rows(layer).clone()


def rows(layer: nn.Module) -> torch.Tensor:
    return outputs_first(layer.weight.detach(), layer)


@pytest.mark.parametrize("kind", ["conv", "linear", "transposed", "embedding"])
def test_weight_norm_divides_each_row_by_its_length(kind: str) -> None:
    layer, raw = layer_and_matrix(kind)
    constrained(layer, kind="weight")
    expected = torch.stack([row / math.sqrt(float((row * row).sum())) for row in raw])  # equation 25
    torch.testing.assert_close(rows(layer), expected)
    squares = torch.linalg.svdvals(rows(layer)).square().sum()
    assert float(squares) == pytest.approx(len(raw), rel=1e-5)  # equation 27: they sum to the number of outputs


@pytest.mark.parametrize("kind", ["conv", "linear", "transposed", "embedding"])
def test_frobenius_norm_divides_by_the_norm(kind: str) -> None:
    layer, raw = layer_and_matrix(kind)
    constrained(layer, kind="frobenius")
    torch.testing.assert_close(rows(layer), raw / math.sqrt(float((raw * raw).sum())))  # equation 26
    assert float(torch.linalg.svdvals(rows(layer)).square().sum()) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("kind", ["weight", "frobenius"])
def test_gradient_of_row_norms(kind: str) -> None:
    torch.manual_seed(1)
    layer = nn.Conv2d(2, 3, 2).double()
    constrained(layer, kind=kind)
    normalisation = layer.get_submodule("parametrizations.weight.0")
    weight = torch.randn(3, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(normalisation, (weight,), atol=1e-7)
    assert torch.autograd.gradgradcheck(normalisation, (weight,), atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {"gamma": "per_layer", "iterations": CONVERGED},
        {"gamma": "per_layer", "iterations": CONVERGED, "estimate": "bidirectional"},
        {"gamma": "per_layer", "kind": "frobenius"},
        {"gamma": "per_row", "kind": "weight"},
    ],
    ids=["spectral", "bidirectional", "frobenius", "weight"],
)
@pytest.mark.parametrize("kind", ["conv", "linear", "transposed"])
def test_weight_is_unchanged_where_gamma_starts_at_the_norm(settings: dict[str, object], kind: str) -> None:
    layer, raw = layer_and_matrix(kind)
    constrained(layer, **settings)
    torch.testing.assert_close(rows(layer), raw, rtol=2e-4, atol=1e-6)
    gammas = [name for name, _ in layer.named_parameters() if name.endswith("gamma")]
    assert gammas == ["parametrizations.weight.1.gamma"]


def test_operator_gamma_starts_at_the_operator_norm() -> None:
    D = discriminator("cnn")
    raw = D.trunk.convs[3].weight.detach().clone()
    constrained(D, iterations=500, estimate="operator", gamma="per_layer")
    torch.testing.assert_close(D.trunk.convs[3].weight, raw, rtol=1e-2, atol=1e-4)


def test_shared_gamma_is_one_parameter_at_the_geometric_mean() -> None:
    network = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4), nn.Linear(4, 1))
    norms = [float(torch.linalg.svdvals(layer.weight.detach())[0]) for layer in network]
    constrained(network, iterations=CONVERGED, gamma="shared")
    assert [name for name, _ in network.named_parameters() if "gamma" in name] == ["shared_gamma"]
    assert sum("gamma" in key for key in network.state_dict()) == 1
    expected = math.prod(norms) ** (1 / 3)
    assert float(network.shared_gamma.detach()) == pytest.approx(expected, rel=1e-5)
    for layer in network:
        assert float(torch.linalg.svdvals(layer.weight.detach())[0]) == pytest.approx(expected, rel=1e-4)
    network(torch.ones(2, 6)).sum().backward()
    assert network.shared_gamma.grad is not None


def test_gamma_can_start_at_one() -> None:
    network = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4))
    constrained(network, gamma="per_layer", gamma_start="one")
    assert [float(p.detach()) for name, p in network.named_parameters() if "gamma" in name] == [1, 1]


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
    U, S, Vh = torch.linalg.svd(raw, full_matrices=False)
    torch.testing.assert_close(rows(layer), U @ torch.diag(S.clamp(max=limit)) @ Vh, rtol=1e-4, atol=1e-5)
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
