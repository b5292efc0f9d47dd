"""The bounds that Lin et al. 2021 prove: parameter variances (Theorems 2 and 3), gradients (Proposition 1)."""

import math

import pytest
import torch
from torch import Tensor, nn

from sngan_cond.constraints.weight_matrices import normalised_layers
from tests.sngan_cond.constraints.helpers import (
    CONVERGED,
    constrained,
    dense,
    discriminator,
    images,
    top_singular_value,
)

DRAWS = 15
ROUNDS = 100  # of power iteration: enough that sigma is at most 1 % short


def drawn(shape: tuple[int, ...], distribution: str) -> Tensor:
    return torch.randn(shape) if distribution == "normal" else torch.rand(shape) * 2 - 1


def normalised_variance(make: object, shape: tuple[int, ...], distribution: str, estimate: str) -> float:
    """Variance of the entries of normalised random weights (their mean is 0), over several draws."""
    squares = []
    for _ in range(DRAWS):
        layer = make()  # type: ignore[operator]
        with torch.no_grad():
            layer.weight.copy_(drawn(shape, distribution))
        constrained(layer, iterations=ROUNDS, estimate=estimate)
        squares.append(float(layer.weight.detach().square().mean()))
    return sum(squares) / DRAWS


@pytest.mark.parametrize(("m", "n"), [(4, 30), (30, 4), (24, 24), (2, 3)])
@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_theorem_2(m: int, n: int, distribution: str) -> None:
    torch.manual_seed(0)
    variance = normalised_variance(lambda: nn.Linear(n, m), (m, n), distribution, "matrix")
    assert variance <= 1.01 / max(m, n)
    # The lower bound's constant is not given; |A| of a Gaussian matrix is about sqrt(m) + sqrt(n) <= 2 sqrt(max), so
    # the variance is at least about 1 / (4 max).
    assert variance >= 0.9 * math.log(2) / (4 * max(m, n) * math.log(min(m, n)))


@pytest.mark.parametrize(("c_out", "c_in", "k"), [(8, 3, 3), (3, 8, 3), (12, 12, 3), (16, 4, 2)])
@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_theorem_3(c_out: int, c_in: int, k: int, distribution: str) -> None:
    torch.manual_seed(1)
    shape = (c_out, c_in, k, k)
    variance = normalised_variance(lambda: nn.Conv2d(c_in, c_out, k), shape, distribution, "bidirectional")
    assert k * k >= max(c_out / c_in, c_in / c_out)  # what the theorem asks for
    assert variance <= 1.01 * 2 / (k * k * (c_in + c_out))
    floor = 1 / (k * k * (c_in * math.log(c_out) + c_out * math.log(c_in)))
    assert variance >= 0.15 * floor  # the constant is not given; log(2) / 4 as above


def mlp() -> nn.Sequential:
    """Fully connected layers without bias, ReLU or leaky ReLU between them: equation 1 of Lin et al."""
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Linear(20, 16, bias=False),
        nn.ReLU(),
        nn.Linear(16, 12, bias=False),
        nn.LeakyReLU(0.1),
        nn.Linear(12, 1, bias=False),
    )


@pytest.mark.parametrize(
    ("estimate", "scale"), [("matrix", 1.0), ("bidirectional", 1.0), ("matrix", 0.9), ("matrix", 1.2)]
)
def test_proposition_1_on_fully_connected_layers(estimate: str, scale: float) -> None:
    """|grad wrt the normalised w_t| <= |x|, times the other layers' norms where a scale sets them."""
    network = mlp()
    constrained(network, iterations=CONVERGED, estimate=estimate, scale=scale)
    weights = [network[i].weight for i in (0, 2, 4)]  # normalised: the gradients are with respect to these
    x = torch.randn(20, generator=torch.Generator().manual_seed(3))
    h = nn.functional.relu(weights[0] @ x)
    score = weights[2] @ nn.functional.leaky_relu(weights[1] @ h, 0.1)
    gradients = torch.autograd.grad(score.sum(), weights)
    bound = float(x.norm()) * scale**2
    assert all(0 < float(gradient.norm()) <= bound * (1 + 1e-4) for gradient in gradients)
    total = math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))
    assert total <= math.sqrt(3) * bound * (1 + 1e-4)


def test_without_constraint_the_bound_fails() -> None:
    network = mlp()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(10)
    x = torch.randn(20, generator=torch.Generator().manual_seed(3))
    network(x).sum().backward()
    assert float(network[0].weight.grad.norm()) > float(x.norm())


@pytest.mark.parametrize("architecture", ["cnn", "dcgan", "mnist"])
def test_proposition_1_on_convolutions_as_operators(architecture: str) -> None:
    """As an operator a convolution is a matrix w, whose gradient is delta h^T: |delta| |h| <= |x|."""
    D = discriminator(architecture)
    with torch.no_grad():
        for name, parameter in D.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()  # the proposition has none
    constrained(D, iterations=300, estimate="operator")
    x, _ = images(D, 1)
    seen: list[tuple[Tensor, Tensor]] = []
    for _, layer in normalised_layers(D):
        layer.register_forward_hook(lambda _layer, args, output: seen.append((args[0].detach(), output)))
    x.requires_grad_()
    score = D(x).score.sum()
    deltas = torch.autograd.grad(score, [output for _, output in seen], retain_graph=True)
    (slope,) = torch.autograd.grad(score, x)
    length = float(seen[0][0].norm())
    products = [float(h.norm()) * float(delta.norm()) for (h, _), delta in zip(seen, deltas, strict=True)]
    assert len(products) == len(normalised_layers(D))
    assert all(0 < product <= length * 1.01 for product in products)  # sigma is up to 1 % short
    assert float(slope.norm()) <= 1.01


def test_the_matrix_form_does_not_promise_it_for_convolutions() -> None:
    """SN of the matrix leaves convolutions a larger operator norm, so it needs no scale (Lin et al., section 4)."""
    D = discriminator("cnn")
    constrained(D, iterations=300)
    conv = D.trunk.convs[2]
    conv.eval()
    assert top_singular_value(dense(conv, (4, 8, 8))) > 1.2
