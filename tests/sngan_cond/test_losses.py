"""Losses by hand on asymmetric scores, so that a swap of real and fake or of the two sides cannot pass."""

import math

import pytest
import torch

from sngan_cond.losses import (
    LOSSES,
    began_discriminator,
    classification_loss,
    ebgan_discriminator,
    lecam_penalty,
)

REAL = torch.tensor([2.0, 0.5, -1.0])
FAKE = torch.tensor([0.25, -3.0])


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


# One line per loss of scores alone: D's of (REAL, FAKE), G's of FAKE.
EXPECTED = {
    "hinge": ((0 + 0.5 + 2) / 3 + (1.25 + 0) / 2, -(0.25 - 3) / 2),
    "non_saturating": (
        (softplus(-2) + softplus(-0.5) + softplus(1)) / 3 + (softplus(0.25) + softplus(-3)) / 2,
        (softplus(-0.25) + softplus(3)) / 2,
    ),
    "minimax": (
        (softplus(-2) + softplus(-0.5) + softplus(1)) / 3 + (softplus(0.25) + softplus(-3)) / 2,
        -(softplus(0.25) + softplus(-3)) / 2,
    ),
    "wasserstein": ((0.25 - 3) / 2 - (2 + 0.5 - 1) / 3, -(0.25 - 3) / 2),
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_by_hand(kind: str) -> None:
    expected_d, expected_g = EXPECTED[kind]
    assert LOSSES[kind].discriminator(REAL, FAKE).item() == pytest.approx(expected_d, rel=1e-6)
    assert LOSSES[kind].generator(FAKE).item() == pytest.approx(expected_g, rel=1e-6)


def test_every_loss_of_scores_alone_is_checked() -> None:
    assert LOSSES.keys() == EXPECTED.keys() | {"began", "ebgan"}  # whose D also takes a state: below


@pytest.mark.parametrize("kind", EXPECTED)
def test_directions(kind: str) -> None:
    """Descent on D raises real scores and lowers fake ones; descent on G raises them."""
    real, fake = torch.zeros(2, requires_grad=True), torch.zeros(3, requires_grad=True)
    LOSSES[kind].discriminator(real, fake).backward()
    assert (real.grad < 0).all()
    assert (fake.grad > 0).all()
    fake.grad = None
    LOSSES[kind].generator(fake).backward()
    assert (fake.grad < 0).all()


def test_large_scores_stay_finite() -> None:
    for kind in EXPECTED:
        for value in (-1e4, 1e4):
            score = torch.tensor([value])
            assert LOSSES[kind].discriminator(score, score).isfinite()
            assert LOSSES[kind].generator(score).isfinite()


def test_autoencoder_losses() -> None:
    real, fake = torch.tensor([-0.5, -0.25]), torch.tensor([-2.0, -0.5, -0.1])  # minus the errors
    assert began_discriminator(real, fake, torch.tensor(0.3)).item() == pytest.approx(0.375 - 0.3 * 2.6 / 3)
    expected = 0.375 + (0 + 0.5 + 0.9) / 3  # energies above the margin of 1 count no more
    assert ebgan_discriminator(real, fake, torch.tensor(1.0)).item() == pytest.approx(expected)


def test_classification_loss() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]])
    loss = classification_loss(logits, torch.tensor([1, 0]))
    assert loss.item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)


def test_lecam_counts_scores_beyond_the_other_sides_average() -> None:
    found = lecam_penalty(REAL, FAKE, torch.tensor(-0.5), torch.tensor(1.5))
    assert float(found) == pytest.approx((0.5**2 + 0 + 0) / 3 + (0 + 2.5**2) / 2)
