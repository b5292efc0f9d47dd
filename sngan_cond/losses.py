"""Adversarial losses as pure functions of scores (N,), each returning a scalar to be minimised."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch.nn.functional as F
from torch import Tensor

LossKind = Literal["hinge", "non_saturating", "minimax", "wasserstein"]


class AdversarialLoss(NamedTuple):
    """The two sides of one game.

    Args:
        discriminator: (score_real (N,), score_fake (M,)) to scalar.
        generator: score_fake (M,) to scalar.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


def hinge_discriminator(score_real: Tensor, score_fake: Tensor) -> Tensor:
    """mean(relu(1 - D(x))) + mean(relu(1 + D(G(z)))). Source: 000 equation 16."""
    return F.relu(1 - score_real).mean() + F.relu(1 + score_fake).mean()


def hinge_generator(score_fake: Tensor) -> Tensor:
    """-mean(D(G(z))). Source: 000 equation 17."""
    return -score_fake.mean()


def softplus_discriminator(score_real: Tensor, score_fake: Tensor) -> Tensor:
    """Cross-entropy of sigmoid scores, mean(softplus(-D(x))) + mean(softplus(D(G(z)))). Source: 000 equation 15."""
    return F.softplus(-score_real).mean() + F.softplus(score_fake).mean()


def non_saturating_generator(score_fake: Tensor) -> Tensor:
    """-mean(log sigmoid(D(G(z)))). Source: Goodfellow et al. 2014 section 3; "dcgan" in the official updater.py."""
    return F.softplus(-score_fake).mean()


def minimax_generator(score_fake: Tensor) -> Tensor:
    """mean(log(1 - sigmoid(D(G(z))))), the original game. Source: Goodfellow et al. 2014 equation 1."""
    return -F.softplus(score_fake).mean()


def wasserstein_discriminator(score_real: Tensor, score_fake: Tensor) -> Tensor:
    """mean(D(G(z))) - mean(D(x)). Source: Arjovsky et al. 2017 equation 2."""
    return score_fake.mean() - score_real.mean()


def began_discriminator(score_real: Tensor, score_fake: Tensor, balance: Tensor) -> Tensor:
    """L(x) - k L(G(z)), where the score is minus the reconstruction error L and k is the balance, a scalar in [0, 1].

    Source: Berthelot et al. 2017, section 3.4.
    """
    return -score_real.mean() + balance * score_fake.mean()


def ebgan_discriminator(score_real: Tensor, score_fake: Tensor, margin: Tensor) -> Tensor:
    """mean(E(x)) + mean(relu(m - E(G(z)))), where the score is minus the energy E and m is the margin, a scalar > 0.

    Source: Zhao et al. 2017, equation 1.
    """
    return -score_real.mean() + F.relu(margin + score_fake).mean()


def classification_loss(class_logits: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of an auxiliary classifier.

    Args:
        class_logits: (N, K).
        y: (N,) int64 labels.
    Returns:
        Scalar >= 0, in nats.
    Source: Odena et al. 2017.
    """
    return F.cross_entropy(class_logits, y)


LOSSES: dict[LossKind, AdversarialLoss] = {
    "hinge": AdversarialLoss(hinge_discriminator, hinge_generator),
    "non_saturating": AdversarialLoss(softplus_discriminator, non_saturating_generator),
    "minimax": AdversarialLoss(softplus_discriminator, minimax_generator),
    "wasserstein": AdversarialLoss(wasserstein_discriminator, hinge_generator),
}
