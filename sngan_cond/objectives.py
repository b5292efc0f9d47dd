"""The objectives of a D update and of a G update: networks and a batch in, the loss and its named parts out."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sngan_cond.config import LossConfig
from sngan_cond.constraints.build import Constraint
from sngan_cond.constraints.penalties import PenaltyBatch
from sngan_cond.losses import LOSSES, classification_loss
from sngan_cond.networks.heads import DiscriminatorOutput

DiscriminatorFn = Callable[..., DiscriminatorOutput]  # a discriminator, wrapped or not
# What an objective carries from one D update to the next: float32 scalars, by the name under which D's loss takes them.
# Most carry nothing.
ObjectiveState = Mapping[str, Tensor]


class DiscriminatorBatch(NamedTuple):
    """The data of one D update.

    Args:
        real: (N, 3, R, R) images in [-1, 1].
        y_real: (N,) int64 labels, or None without classes.
        z: (M, latent_dim) latents of the fakes.
        y_fake: (M,) int64 labels of the fakes, or None without classes.
    """

    real: Tensor
    y_real: Tensor | None
    z: Tensor
    y_fake: Tensor | None


class Objective(NamedTuple):
    """A scalar to be minimised and its named parts.

    Args:
        total: loss and penalty, with a graph.
        parts: detached scalars, for the log.
    """

    total: Tensor
    parts: dict[str, Tensor]


def initial_objective_state(loss: LossConfig, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Return an objective's state at the start of a run; the caller keeps it, and saves it with its checkpoints.

    Returns:
        {"balance": k = 0} for BEGAN, {"margin": m} for EBGAN, empty otherwise.
    """
    if loss.kind == "began":
        return {"balance": torch.zeros((), device=device)}
    if loss.kind == "ebgan":
        return {"margin": torch.full((), loss.margin, device=device)}
    return {}


@torch.no_grad()
def next_objective_state(state: ObjectiveState, parts: Mapping[str, Tensor], *, loss: LossConfig) -> dict[str, Tensor]:
    """Return an objective's state after a D update.

    Args:
        state: from before the update; not changed.
        parts: of the D update's `Objective`; where several processes train together, their mean over processes, so
            that the state stays the same in all of them.
    """
    if loss.kind != "began":
        return dict(state)
    # Berthelot et al. 2017, section 3.4: k_{t+1} = k_t + lambda_k (gamma L(x) - L(G(z))), clipped to [0, 1], with L
    # averaged over the real and fake images of the D update.
    error_real, error_fake = -parts["score_real"], -parts["score_fake"]
    moved = state["balance"] + loss.balance_rate * (loss.diversity * error_real - error_fake)
    return {"balance": moved.clamp(0, 1)}


def discriminator_objective(
    D: DiscriminatorFn,
    G: nn.Module,
    batch: DiscriminatorBatch,
    *,
    loss: LossConfig,
    constraint: Constraint,
    rng: torch.Generator | None = None,
    state: ObjectiveState | None = None,
    one_call: bool = False,
) -> Objective:
    """Return the discriminator's loss on a batch of real images and as many fakes.

    Fakes are made in the generator's current mode, so in train mode its running statistics move here too, as they do in
    the official code.

    Args:
        D: wrapped or not, as G is.
        constraint: its penalty is added to the loss.
        rng: random source of the penalty, on the images' device; None takes torch's global one.
        state: from `initial_objective_state` and, after each D update, `next_objective_state`; None is the initial one.
        one_call: score real images and fakes in one call of D, which is faster where it is the same: only if
            `constraint.one_call`, and if both have labels or neither has.
    Returns:
        `Objective` with parts loss, penalty, score_real, score_fake (and classification where D has a classifier).
    """
    with torch.no_grad():
        fake = G(batch.z, batch.y_fake)
    if one_call:
        real_out, fake_out = _split(D(*_joined(batch, fake)), len(batch.real))
    else:
        # Real images first, as in the official updater.py. One call would not be the same there: every call moves the u
        # of a spectral norm by a round. And a batch norm in D would mix real and fake statistics.
        real_out, fake_out = D(batch.real, batch.y_real), D(fake, batch.y_fake)
    if state is None:
        state = initial_objective_state(loss, batch.real.device)
    adversarial = LOSSES[loss.kind].discriminator(real_out.score, fake_out.score, **state)
    total = adversarial
    parts = {"loss": adversarial, "score_real": real_out.score.mean(), "score_fake": fake_out.score.mean()}
    if real_out.class_logits is not None and batch.y_real is not None:
        parts["classification"] = classification_loss(real_out.class_logits, batch.y_real)
        total = total + loss.classification_d * parts["classification"]
    # After both calls, since a gradient penalty is a third call of D and moves u once more.
    penalty = constraint.penalty(D, PenaltyBatch(batch.real, fake, batch.y_real), rng)
    if penalty is not None:
        parts["penalty"] = penalty
        total = total + penalty
    return Objective(total, {name: value.detach() for name, value in parts.items()})


def _joined(batch: DiscriminatorBatch, fake: Tensor) -> tuple[Tensor, Tensor | None]:
    """Put real images first, then fakes, with their labels."""
    images = torch.cat([batch.real, fake])
    if batch.y_real is None or batch.y_fake is None:
        if batch.y_real is not batch.y_fake:
            raise ValueError("one_call: labels of real images and of fakes, or neither, are allowed")
        return images, None
    return images, torch.cat([batch.y_real, batch.y_fake])


def _split(out: DiscriminatorOutput, real: int) -> tuple[DiscriminatorOutput, DiscriminatorOutput]:
    """Take the outputs of the first images, and of the others, apart."""
    logits = out.class_logits
    first, second = (None, None) if logits is None else (logits[:real], logits[real:])
    return DiscriminatorOutput(out.score[:real], first), DiscriminatorOutput(out.score[real:], second)


def generator_objective(
    D: DiscriminatorFn, G: nn.Module, z: Tensor, y: Tensor | None, *, loss: LossConfig
) -> Objective:
    """Return the generator's loss on a batch of latents.

    Args:
        D: wrapped or not, as G is; the caller keeps its parameters out of the graph.
        z: (M, latent_dim) latents.
        y: (M,) int64 labels, or None without classes.
    Returns:
        `Objective` with parts loss, score_fake (and classification where D has a classifier).
    """
    out = D(G(z, y), y)
    adversarial = LOSSES[loss.kind].generator(out.score)
    total = adversarial
    parts = {"loss": adversarial, "score_fake": out.score.mean()}
    if out.class_logits is not None and y is not None:
        parts["classification"] = classification_loss(out.class_logits, y)
        total = total + loss.classification_g * parts["classification"]
    return Objective(total, {name: value.detach() for name, value in parts.items()})
