"""Penalties by hand on small cases, and their gradients."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sngan_cond import ConstraintConfig, DiscriminatorOutput, build_constraint
from sngan_cond.constraints.penalties import PenaltyBatch
from tests.refusals import refused
from tests.sngan_cond.constraints.helpers import CONVERGED, constrained, discriminator, images, outputs_first

UNSEEN = PenaltyBatch(*[torch.zeros(1, 3, 2, 2)] * 2, None)  # images of a penalty that does not look at them


def penalty_of(D: nn.Module, *images: Tensor | None, rng: torch.Generator | None = None, **settings: object) -> Tensor:
    """Return the penalty of a constraint that needs no attaching, on real images, fake images and labels."""
    constraint = build_constraint(ConstraintConfig(kind="none", **settings))
    return constraint.penalty(D, PenaltyBatch(*images) if images else UNSEEN, rng)


class LinearScore(nn.Module):
    """Score <w, x>: its gradient is w everywhere."""

    def __init__(self, w: Tensor) -> None:
        super().__init__()
        self.w = nn.Parameter(w)

    def forward(self, x: Tensor, y: Tensor | None = None) -> DiscriminatorOutput:
        return DiscriminatorOutput((self.w * x).sum(dim=(1, 2, 3)))


class QuadraticScore(nn.Module):
    """Score a |x|^2 / 2: its gradient at x is a x."""

    def __init__(self, a: float) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a))

    def forward(self, x: Tensor, y: Tensor | None = None) -> DiscriminatorOutput:
        return DiscriminatorOutput(self.a * x.square().sum(dim=(1, 2, 3)) / 2)


def test_gradient_penalty_of_a_linear_score() -> None:
    w = torch.zeros(3, 2, 2)
    w[0, 0, 0], w[2, 1, 0] = 3.0, 4.0
    D = LinearScore(w)
    penalty = penalty_of(D, torch.ones(4, 3, 2, 2), torch.zeros(4, 3, 2, 2), None, gradient_penalty=10.0)
    assert float(penalty.detach()) == pytest.approx(10 * (5 - 1) ** 2)  # |w| is 5
    penalty.backward()
    torch.testing.assert_close(D.w.grad, 10 * 2 * (5 - 1) * w / 5)


def test_gradient_penalty_looks_between_real_and_fake_with_one_draw_an_image() -> None:
    """With real = 1 and fake = 0 a point's values are all e, so the gradient's length is a e sqrt(12)."""
    rng = torch.Generator().manual_seed(3)
    real, fake = torch.ones(5, 3, 2, 2), torch.zeros(5, 3, 2, 2)
    penalty = penalty_of(QuadraticScore(0.5), real, fake, None, rng=rng, gradient_penalty=1.0)
    e = torch.rand(5, generator=torch.Generator().manual_seed(3))
    expected = (0.5 * e * 12**0.5 - 1).square().mean()
    assert float(penalty.detach()) == pytest.approx(float(expected), rel=1e-5)
    assert float(e.std()) > 0.1  # the draws differ from image to image


def test_gradient_penalty_is_a_function_of_its_rng() -> None:
    D = discriminator("cnn").eval()
    real, _ = images(D, 3, seed=1)
    fake, _ = images(D, 3, seed=2)

    def value(seed: int) -> float:
        rng = torch.Generator().manual_seed(seed)
        return float(penalty_of(D, real, fake, None, rng=rng, gradient_penalty=10.0).detach())

    assert value(5) == value(5) != value(6)


def test_gradient_penalty_wants_as_many_fakes() -> None:
    images = torch.ones(3, 3, 4, 4), torch.ones(2, 3, 4, 4), None
    refused(
        lambda: penalty_of(QuadraticScore(1.0), *images, gradient_penalty=10.0),
        "fake of shape (2, 3, 4, 4): that of real, (3, 3, 4, 4)",
    )


def test_gradient_penalty_gradient_against_finite_differences() -> None:
    D = discriminator("cnn", "projection").double().eval()
    real, y = images(D, 2, seed=1)
    fake, _ = images(D, 2, seed=2)
    weight = D.trunk.convs[1].weight

    def value() -> Tensor:
        rng = torch.Generator().manual_seed(0)
        return penalty_of(D, real.double(), fake.double(), y, rng=rng, gradient_penalty=10.0)

    # Weights far from 0, so that the penalty has a slope worth measuring.
    with torch.no_grad():
        for parameter in D.parameters():
            parameter.mul_(10)
    (gradient,) = torch.autograd.grad(value(), weight)
    for index in [(0, 0, 0, 0), (2, 1, 3, 1)]:
        values = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                weight[index] += step
                values.append(float(value_without_graph(value)))
                weight[index] -= step
        assert float(gradient[index]) == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4)


def value_without_graph(value: object) -> Tensor:
    with torch.enable_grad():
        return value().detach()  # type: ignore[operator]


@pytest.mark.parametrize("shape", [(2, 3), (3, 2)])
def test_orthonormal_penalty_by_hand(shape: tuple[int, int]) -> None:
    layer = nn.Linear(shape[1], shape[0], bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(6.0).reshape(shape) / 4)
    W = layer.weight.detach()
    expected = (W.T @ W - torch.eye(shape[1])).square().sum()  # equation 14, as it is written
    penalty = penalty_of(layer, orthonormal_penalty=0.5)
    assert float(penalty.detach()) == pytest.approx(0.5 * float(expected), rel=1e-6)
    penalty.backward()
    torch.testing.assert_close(layer.weight.grad, 0.5 * 4 * (W @ (W.T @ W) - W))


def test_orthonormal_penalty_sums_layers_and_skips_the_excluded() -> None:
    D = discriminator("mnist")
    matrices = [layer.weight.detach().flatten(1) for layer in [*D.trunk.convs, D.head.linear]]
    by_hand = [float((W.T @ W - torch.eye(W.shape[1])).square().sum()) for W in matrices]
    whole = penalty_of(D, orthonormal_penalty=1.0)
    assert float(whole.detach()) == pytest.approx(sum(by_hand), rel=1e-5)
    without = penalty_of(D, orthonormal_penalty=1.0, exclude=("head.linear",))
    assert float(without.detach()) == pytest.approx(sum(by_hand[:-1]), rel=1e-5)


def test_spectral_penalty_against_exact_singular_values() -> None:
    """lambda / 2 times the sum of sigma^2, whose gradient is lambda sigma u v^T, with NumPy's decomposition."""
    torch.manual_seed(4)
    network = nn.Sequential(nn.Linear(6, 5), nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 2, 4)).double()
    constraint = constrained(network, kind="none", spectral_penalty=0.01, iterations=CONVERGED)
    views = [layer.weight.detach().numpy() for layer in network]
    views = [views[0], views[1].reshape(4, 27), views[2].swapaxes(0, 1).reshape(2, 64)]
    found = [np.linalg.svd(view, full_matrices=False) for view in views]
    constraint.penalty(network, UNSEEN)  # the state is kept, and the rounds add up
    penalty = constraint.penalty(network, UNSEEN)
    assert float(penalty.detach()) == pytest.approx(0.005 * sum(S[0] ** 2 for _, S, _ in found), rel=1e-9)
    gradients = torch.autograd.grad(penalty, [layer.weight for layer in network])
    for layer, ours, (U, S, Vh) in zip(network, gradients, found, strict=True):
        expected = torch.from_numpy(0.01 * S[0] * np.outer(U[:, 0], Vh[0]))
        torch.testing.assert_close(outputs_first(ours, layer), expected, rtol=1e-6, atol=1e-9)


def test_spectral_penalty_keeps_its_state_with_the_network() -> None:
    D = discriminator("cnn")
    constraint = constrained(D, kind="none", spectral_penalty=0.01)
    before = D.trunk.convs[0].penalty_u.clone()
    constraint.penalty(D, UNSEEN)
    assert not torch.equal(D.trunk.convs[0].penalty_u, before)
    assert "trunk.convs.0.penalty_u" in D.state_dict()
