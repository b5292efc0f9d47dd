"""Weight and Frobenius normalisation, and gains, against their equations."""

import copy
import math

import pytest
import torch
from torch import nn

from sngan_cond.constraints.fold import fold
from tests.sngan_cond.constraints.helpers import CONVERGED, constrained, discriminator, layer_and_matrix, rows


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


@pytest.mark.parametrize("gamma", ["shared", "per_layer"])
def test_gamma_multiplies_biases_too_if_told(gamma: str) -> None:
    """gamma (W / sigma(W) x + b) layer by layer, as same_gamma-CNN and diff_gamma-CNN of fjxmlzn/BSN have it."""
    network = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4, bias=False), nn.Linear(4, 3)).double()
    raw = [(layer.weight.detach().clone(), layer.bias) for layer in network]
    constrained(network, iterations=CONVERGED, gamma=gamma, gamma_start="one", gamma_biases=True)
    found = dict(network.named_parameters())
    gammas = [found[name] for name in found if "gamma" in name]
    with torch.no_grad():
        for value, parameter in zip((1.5, 0.5, 3.0), gammas, strict=gamma == "per_layer"):
            parameter.fill_(value)
    expected = x = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(2, 6)
    for i, (W, b) in enumerate(raw):
        own = float(gammas[0 if gamma == "shared" else i].detach())
        expected = own * (expected @ W.T / torch.linalg.svdvals(W)[0] + (0 if b is None else b))
    torch.testing.assert_close(network(x), expected)
    copied = copy.deepcopy(network)
    with torch.no_grad():
        gammas[0].zero_()  # not the copy's
    torch.testing.assert_close(copied(x), expected)
    fold(copied)
    torch.testing.assert_close(copied(x), expected)
    assert sorted(copied.state_dict()) == sorted(nn.Sequential(*map(plain, raw)).state_dict())


def plain(layer: tuple[torch.Tensor, object]) -> nn.Linear:
    return nn.Linear(*layer[0].shape[::-1], bias=layer[1] is not None)
