"""Adversarial losses as pure functions of scores (N,), each returning a scalar to be minimised.

In the equations D(x) is the score itself; where a paper's D(x) is a probability, it is written sigmoid(D(x)). What a
paper maximises is returned with the opposite sign.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


class AdversarialLoss(NamedTuple):
    """The losses of the two networks, which are minimised in turn.

    Args:
        discriminator: (score_real (N,), score_fake (M,)) to scalar; BEGAN's and EBGAN's also take a state.
        generator: score_fake (M,) to scalar.
    """

    discriminator: Callable[..., Tensor]
    generator: Callable[[Tensor], Tensor]


# Miyato et al. 2018, equations 16 and 17:
#   V_D(G, D) = E_x[min(0, -1 + D(x))] + E_z[min(0, -1 - D(G(z)))]
#   V_G(G, D) = -E_z[D(G(z))]
# D maximises V_D, G minimises V_G.
def hinge_discriminator(score_real: Tensor, score_fake: Tensor) -> Tensor:
    """mean(relu(1 - D(x))) + mean(relu(1 + D(G(z)))), which is -V_D."""
    return F.relu(1 - score_real).mean() + F.relu(1 + score_fake).mean()


def hinge_generator(score_fake: Tensor) -> Tensor:
    """-mean(D(G(z))), which is V_G; Wasserstein, BEGAN and EBGAN share it."""
    return -score_fake.mean()


# Goodfellow et al. 2014, equation 1, and Miyato et al. 2018, equation 15:
#   V(G, D) = E_x[log sigmoid(D(x))] + E_z[log(1 - sigmoid(D(G(z))))]
# D maximises it. G minimises it ("minimax") or, as both papers train, maximises E_z[log sigmoid(D(G(z)))] instead
# ("non_saturating", Goodfellow et al. 2014, section 3), whose gradient does not vanish where D rejects every fake.
# log sigmoid(t) = -softplus(-t) and log(1 - sigmoid(t)) = -softplus(t), which stay finite at any score.
def softplus_discriminator(score_real: Tensor, score_fake: Tensor) -> Tensor:
    """mean(softplus(-D(x))) + mean(softplus(D(G(z)))), which is -V."""
    return F.softplus(-score_real).mean() + F.softplus(score_fake).mean()


def non_saturating_generator(score_fake: Tensor) -> Tensor:
    """mean(softplus(-D(G(z)))), which is -E_z[log sigmoid(D(G(z)))]; "dcgan" in the official updater.py."""
    return F.softplus(-score_fake).mean()


def minimax_generator(score_fake: Tensor) -> Tensor:
    """-mean(softplus(D(G(z)))), the term of V that depends on G."""
    return -F.softplus(score_fake).mean()


# Arjovsky et al. 2017, equation 2:
#   W(P_r, P_g) = sup over 1-Lipschitz D of E_x[D(x)] - E_z[D(G(z))]
# The constraint on D (`sngan_cond.constraints`) has to see to the Lipschitz constant.
def wasserstein_discriminator(score_real: Tensor, score_fake: Tensor) -> Tensor:
    """mean(D(G(z))) - mean(D(x)), minus the estimate of W."""
    return score_fake.mean() - score_real.mean()


# Berthelot et al. 2017, section 3.4, with L the reconstruction error of the autoencoder D:
#   L_D = L(x) - k_t L(G(z)),  L_G = L(G(z)),  k_{t+1} = k_t + lambda_k (gamma L(x) - L(G(z)))
# The score is -L. The balance k is moved by `objectives.next_objective_state`.
def began_discriminator(score_real: Tensor, score_fake: Tensor, balance: Tensor) -> Tensor:
    """mean(L(x)) - k mean(L(G(z))), with the balance k a scalar in [0, 1]."""
    return -score_real.mean() + balance * score_fake.mean()


# Zhao et al. 2017, equations 1 and 2, with the energy E that the paper calls D:
#   L_D(x, z) = E(x) + max(0, m - E(G(z))),  L_G(z) = E(G(z))
# The score is -E.
def ebgan_discriminator(score_real: Tensor, score_fake: Tensor, margin: Tensor) -> Tensor:
    """mean(E(x)) + mean(relu(m - E(G(z)))), with the margin m a scalar above 0."""
    return -score_real.mean() + F.relu(margin + score_fake).mean()


# Odena et al. 2017, equation 3:
#   L_C = E[log P(C = c | X_real)] + E[log P(C = c | X_fake)]
# D is trained on the first term and G on the second, as in gan_cifar_resnet.py of igul222/improved_wgan_training, where
# the default weights of `LossConfig` come from too; Odena et al. train both networks on both.
def classification_loss(class_logits: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy in nats of class logits (N, K) with int64 labels y (N,), one term of -L_C."""
    return F.cross_entropy(class_logits, y)


# Tseng et al. 2021, section 3, with a_R and a_F the moving averages of D(x) and D(G(z)):
#   R_LC(D) = E_x[(D(x) - a_F)^2] + E_z[(D(G(z)) - a_R)^2]
# It keeps D from telling real and generated images further and further apart, as it does once it knows the real ones by
# heart. The official lecam_loss.py counts only scores on their right side of the average, and so does this. The
# averages are moved by `objectives.next_objective_state`.
def lecam_penalty(score_real: Tensor, score_fake: Tensor, average_real: Tensor, average_fake: Tensor) -> Tensor:
    """mean(relu(D(x) - a_F)^2) + mean(relu(a_R - D(G(z)))^2), with the averages scalars."""
    return F.relu(score_real - average_fake).square().mean() + F.relu(average_real - score_fake).square().mean()


LOSSES: dict[str, AdversarialLoss] = {  # by LossConfig.kind
    "hinge": AdversarialLoss(hinge_discriminator, hinge_generator),
    "non_saturating": AdversarialLoss(softplus_discriminator, non_saturating_generator),
    "minimax": AdversarialLoss(softplus_discriminator, minimax_generator),
    "wasserstein": AdversarialLoss(wasserstein_discriminator, hinge_generator),
    "began": AdversarialLoss(began_discriminator, hinge_generator),
    "ebgan": AdversarialLoss(ebgan_discriminator, hinge_generator),
}
