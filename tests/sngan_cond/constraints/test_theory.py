"""Statements of Lin et al. 2021 in float64 on small networks, each beside a case without its condition that breaks it.

`test_bounds.py` has Theorems 2 and 3 over random draws, and Proposition 1; here are the rest and the adversarial cases.
"""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from sngan_cond.constraints.spectral import spectral_layers
from sngan_cond.constraints.weight_matrices import raw_weight
from tests.sngan_cond.constraints.helpers import CONVERGED, constrained

WIDTHS = (7, 5, 6, 4, 1)  # of the input and of four layers: no two neighbours are alike
SLOPE = 0.1
ROUNDING = 1 + 1e-9  # float64, and power iteration to convergence


def random_weights(seed: int = 0, gain: float = 1.0) -> list[Tensor]:
    rng = torch.Generator().manual_seed(seed)
    shapes = zip(WIDTHS[1:], WIDTHS[:-1], strict=True)
    return [gain * torch.randn(m, n, generator=rng, dtype=torch.float64) for m, n in shapes]


def image(seed: int = 1) -> Tensor:
    return torch.randn(WIDTHS[0], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def score(weights: list[Tensor], x: Tensor, last: str = "identity") -> Tensor:
    """Equation 1: leaky ReLU between the layers, without biases."""
    for weight in weights[:-1]:
        x = leaky_relu(weight @ x, SLOPE)
    logit = (weights[-1] @ x).squeeze()
    return torch.sigmoid(logit) if last == "sigmoid" else logit


def norms(weights: list[Tensor]) -> np.ndarray:
    return np.array([np.linalg.norm(weight.numpy(), 2) for weight in weights])


def normalised(weights: list[Tensor]) -> list[Tensor]:
    return [weight / norm for weight, norm in zip(weights, norms(weights), strict=True)]


def gradient_norms(weights: list[Tensor], x: Tensor, last: str = "identity") -> np.ndarray:
    leaves = [weight.clone().requires_grad_() for weight in weights]
    return np.array([float(g.norm()) for g in torch.autograd.grad(score(leaves, x, last), leaves)])


def aligned(factors: np.ndarray) -> tuple[list[Tensor], Tensor]:
    """A discriminator of the set of equation 2, and an image: the singular vectors of neighbours meet.

    Each layer is a factor times b a^T of positive unit vectors, so no activation ever cuts, and nothing is lost.
    """
    rng = torch.Generator().manual_seed(5)
    units = [torch.rand(width, generator=rng, dtype=torch.float64) + 0.1 for width in WIDTHS]
    units = [unit / unit.norm() for unit in units]
    pairs = zip(factors, units[1:], units[:-1], strict=True)
    return [float(factor) * torch.outer(b, a) for factor, b, a in pairs], 1.7 * units[0]


@pytest.mark.parametrize(("last", "lipschitz"), [("identity", 1.0), ("sigmoid", 0.25)])
def test_equation_4_bounds_every_gradient_and_is_tight(last: str, lipschitz: float) -> None:
    """|grad wrt w_t| <= |x| Lip(a) prod |w_i| / |w_t|, which aligned layers reach."""
    for seed in range(20):
        weights, x = random_weights(seed, gain=0.4 + 0.1 * seed), image(seed + 100)
        bounds = float(x.norm()) * lipschitz * norms(weights).prod() / norms(weights)
        assert (gradient_norms(weights, x, last) <= bounds * ROUNDING).all()
    weights, x = aligned(np.array([0.5, 3.0, 0.7, 2.0]))
    bounds = float(x.norm()) * norms(weights).prod() / norms(weights)
    np.testing.assert_allclose(gradient_norms(weights, x), bounds, rtol=1e-12)


@pytest.mark.parametrize(("last", "lipschitz"), [("identity", 1.0), ("sigmoid", 0.25)])
def test_proposition_1_holds_of_normalised_weights_and_not_of_others(last: str, lipschitz: float) -> None:
    x = image()
    limit = lipschitz * float(x.norm())
    found = gradient_norms(normalised(random_weights()), x, last)
    assert (found <= limit * ROUNDING).all()
    assert np.linalg.norm(found) <= math.sqrt(len(found)) * limit * ROUNDING
    weights, x = aligned(np.full(4, 1.2))  # a fifth above 1 a layer, where the score is small enough for the sigmoid
    assert (gradient_norms(weights, x / 10, last) > lipschitz * float(x.norm()) / 10).all()


def test_proposition_2_factors_with_product_1_change_no_value_and_no_derivative_by_the_image() -> None:
    weights, x = random_weights(), image()
    factors = [0.2, 3.0, 0.5, 1 / (0.2 * 3.0 * 0.5)]
    moved = [factor * weight for factor, weight in zip(factors, weights, strict=True)]

    def derivatives(of: list[Tensor]) -> list[Tensor]:
        def at(x: Tensor) -> Tensor:
            return score(of, x, "sigmoid")

        hessian: Tensor = torch.autograd.functional.hessian(at, x)
        return [at(x), torch.autograd.functional.jacobian(at, x), hessian]

    for before, after in zip(derivatives(weights), derivatives(moved), strict=True):
        assert float(before.abs().max()) > 1e-4
        torch.testing.assert_close(after, before, rtol=1e-10, atol=1e-13)
    # Appendix E: the gradient by a layer goes by the inverse of its factor.
    ratio = gradient_norms(weights, x) / gradient_norms(moved, x)
    np.testing.assert_allclose(ratio, factors, rtol=1e-10)
    off = [*moved[:-1], 1.01 * moved[-1]]  # the product is 1.01
    assert abs(float(score(off, x) / score(weights, x)) - 1.01) < 1e-10


def factors_of_product_1(rng: np.random.Generator) -> np.ndarray:
    logs = rng.normal(size=4)
    return np.exp(logs - logs.mean())


def total_gradient(weights: list[Tensor], x: Tensor, c: np.ndarray) -> float:
    moved = [float(factor) * weight for factor, weight in zip(c, weights, strict=True)]
    return float(np.linalg.norm(gradient_norms(moved, x)))


def test_theorem_1_equal_norms_give_the_smallest_gradient_in_the_set_of_equation_2() -> None:
    weights, x = aligned(np.array([0.5, 3.0, 0.7, 2.0]))
    spectral, gradients = norms(weights), gradient_norms(weights, x)
    np.testing.assert_allclose(np.outer(gradients, 1 / gradients), np.outer(1 / spectral, spectral), rtol=1e-12)
    mean = spectral.prod() ** (1 / 4)
    best = total_gradient(weights, x, mean / spectral)
    assert best == pytest.approx(math.sqrt(4) * mean**3 * float(x.norm()), rel=1e-12)  # by the AM-GM inequality
    rng = np.random.default_rng(0)
    others = [total_gradient(weights, x, mean / spectral * factors_of_product_1(rng)) for _ in range(200)]
    assert min(others) > best
    near = [
        total_gradient(weights, x, mean / spectral * np.array(c))
        for c in ([1.01, 1 / 1.01, 1, 1], [1, 1, 0.99, 1 / 0.99])
    ]
    assert min(near) > best


def test_theorem_1_needs_that_set() -> None:
    """Of a discriminator outside it, other factors do better: those that make the layers' gradients equal."""
    weights, x = random_weights(), image()
    spectral, gradients = norms(weights), gradient_norms(weights, x)
    equal_norms = total_gradient(weights, x, spectral.prod() ** (1 / 4) / spectral)
    equal_gradients = total_gradient(weights, x, gradients / gradients.prod() ** (1 / 4))
    assert equal_gradients < 0.99 * equal_norms


@pytest.mark.parametrize("layer", range(4))
def test_proposition_3_bounds_the_hessian_by_a_layer(layer: int) -> None:
    """|H by w_t| <= |sigmoid''| |x|^2 prod |w_i|^2 / |w_t|^2, and 0.1 |x|^2 under SN; 0 under the identity."""

    def hessian(weights: list[Tensor], x: Tensor, last: str) -> np.ndarray:
        def at(flat: Tensor) -> Tensor:
            moved = [*weights[:layer], flat.reshape(weights[layer].shape), *weights[layer + 1 :]]
            return score(moved, x, last)

        found: Tensor = torch.autograd.functional.hessian(at, weights[layer].flatten())
        return found.numpy()

    def curvature(weights: list[Tensor], x: Tensor) -> float:
        s = float(score(weights, x, "sigmoid"))
        return abs(s * (1 - s) * (1 - 2 * s))

    for seed in range(5):
        weights, x = random_weights(seed, gain=0.5), image(seed + 10)
        found = float(np.linalg.norm(hessian(weights, x, "sigmoid"), 2))
        # A second source: between its kinks the logit is linear in w_t, so H = sigmoid'' g g^T with g its gradient.
        closed = curvature(weights, x) * float(gradient_norms(weights, x)[layer]) ** 2
        assert found == pytest.approx(closed, rel=1e-8)
        bound = curvature(weights, x) * float(x.norm()) ** 2 * norms(weights).prod() ** 2 / norms(weights)[layer] ** 2
        assert 0 < found <= bound * ROUNDING
        under_sn = normalised(weights)
        assert np.linalg.norm(hessian(under_sn, x, "sigmoid"), 2) <= 0.1 * float(x.norm()) ** 2
        assert np.abs(hessian(under_sn, x, "identity")).max() < 1e-12
    weights, x = aligned(np.full(4, 1.5))
    x = x * 1.317 / float(score(weights, x))  # there |sigmoid''| has its maximum, 0.0962
    assert np.linalg.norm(hessian(weights, x, "sigmoid"), 2) > 0.1 * float(x.norm()) ** 2  # norms of 1.5: no bound


def network(weights: list[Tensor]) -> nn.Sequential:
    """The same function as `score`, of layers that the constraint can be attached to."""
    layers: list[nn.Module] = []
    for weight in weights:
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=torch.float64)
        linear.weight.data.copy_(weight)
        layers += [linear, nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers[:-1])


def test_appendix_c_gradients_by_the_raw_weights_under_sn() -> None:
    """By the raw w_t they are (g - <g, w'> u v^T) / |w_t|, so at most 2 |x| / |w_t|."""
    weights, x = random_weights(3, gain=2.0), image()
    D = network(weights)
    constrained(D, iterations=CONVERGED)
    raws = [raw_weight(layer) for layer, _ in spectral_layers(D)]
    found = [grad.numpy() for grad in torch.autograd.grad(D(x).squeeze(), raws)]
    unit = normalised(weights)
    leaves = [weight.clone().requires_grad_() for weight in unit]
    by_unit = [grad.numpy() for grad in torch.autograd.grad(score(leaves, x), leaves)]
    for grad, g, raw, w in zip(found, by_unit, weights, unit, strict=True):
        U, S, Vh = np.linalg.svd(raw.numpy())
        expected = (g - (g * w.numpy()).sum() * np.outer(U[:, 0], Vh[0])) / S[0]
        np.testing.assert_allclose(grad, expected, rtol=1e-5, atol=1e-7)
        assert np.linalg.norm(grad) <= 2 * float(x.norm()) / S[0]
    plain = network(weights)  # without SN the same weights break the bound
    by_plain = torch.autograd.grad(plain(x).squeeze(), list(plain.parameters()))
    limits = 2 * float(x.norm()) / norms(weights)
    assert any(float(grad.norm()) > limit for grad, limit in zip(by_plain, limits, strict=True))


def entries(shape: tuple[int, ...], distribution: str, rng: np.random.Generator) -> np.ndarray:
    draw = {
        "normal": rng.standard_normal,
        "uniform": lambda size: rng.uniform(-1, 1, size),
        "signs": lambda size: rng.choice([-1.0, 1.0], size),
        "cauchy": rng.standard_cauchy,  # without a variance of its own
    }[distribution]
    return np.asarray(draw(shape))


@pytest.mark.parametrize("distribution", ["normal", "uniform", "signs", "cauchy"])
def test_theorem_2_holds_of_every_single_matrix(distribution: str) -> None:
    """Not only of the mean over draws, and at any shape; a flat spectrum reaches it, and a raw matrix is above it."""
    rng = np.random.default_rng(0)
    for m, n in ((1, 9), (9, 1), (2, 50), (50, 2), (6, 6)):
        for _ in range(20):
            A = entries((m, n), distribution, rng)
            assert np.mean((A / np.linalg.norm(A, 2)) ** 2) <= 1 / max(m, n) * ROUNDING
            assert np.mean(A**2) > 1 / max(m, n)  # without SN
    flat = np.linalg.qr(rng.standard_normal((8, 3)))[0]  # orthonormal columns
    assert np.mean(flat**2) == pytest.approx(1 / 8, rel=1e-12)


def bsn_square(w: np.ndarray) -> float:
    """Mean squared entry of a kernel (c_out, c_in, k, k) over the mean of the norms of its two views."""
    outputs = np.linalg.norm(w.reshape(len(w), -1), 2)
    inputs = np.linalg.norm(w.swapaxes(0, 1).reshape(w.shape[1], -1), 2)
    return float(np.mean(w**2) / ((outputs + inputs) / 2) ** 2)


@pytest.mark.parametrize("distribution", ["normal", "uniform", "signs", "cauchy"])
def test_theorem_3_holds_of_every_kernel_with_equal_widths(distribution: str) -> None:
    rng = np.random.default_rng(1)
    for c, k in ((1, 3), (4, 3), (7, 5), (16, 2)):
        for _ in range(20):
            assert bsn_square(entries((c, c, k, k), distribution, rng)) <= 1 / (c * k * k) * ROUNDING


def test_theorem_3_fails_with_unequal_widths_and_a_weaker_bound_holds() -> None:
    """Appendix G takes 4 / s_w (c_out / 2 + c_in / 2), s_w = c_in c_out k^2, for 2 / (k^2 (c_in + c_out)).

    The views' spectra are nearly flat where the kernel is large, and then the variance is above what the theorem
    prints, though k^2 is above both ratios of widths, as it asks. 4 / (k^2 (sqrt(c_in) + sqrt(c_out))^2) always holds,
    since |w|_F <= sqrt(c_out), and sqrt(c_in), times the norms of the two views.
    """
    rng = np.random.default_rng(2)
    c_out, c_in, k = 16, 1, 60
    printed, holds = 2 / (k * k * (c_in + c_out)), 4 / (k * k * (math.sqrt(c_in) + math.sqrt(c_out)) ** 2)
    found = [bsn_square(entries((c_out, c_in, k, k), "normal", rng)) for _ in range(5)]
    assert min(found) > 1.1 * printed
    assert max(found) <= holds
    for shape in ((1, 16), (3, 8), (30, 2), (5, 5)):
        for distribution in ("normal", "signs", "cauchy"):
            w = entries((*shape, 6, 6), distribution, rng)
            assert bsn_square(w) <= 4 / (36 * (math.sqrt(shape[0]) + math.sqrt(shape[1])) ** 2) * ROUNDING
