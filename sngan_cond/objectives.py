"""The objectives of a D update and of a G update: networks and a batch in, the loss and its named parts out."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sngan_cond.augmentation import augmented
from sngan_cond.config import AugmentConfig, LossConfig
from sngan_cond.constraints.build import Constraint
from sngan_cond.constraints.penalties import PenaltyBatch
from sngan_cond.losses import LOSSES, classification_loss, lecam_penalty
from sngan_cond.networks.heads import DiscriminatorOutput

DiscriminatorFn = Callable[..., DiscriminatorOutput]  # a discriminator, wrapped or not
# What an objective carries from one D update to the next: float32 scalars by name. Most carry nothing.
ObjectiveState = Mapping[str, Tensor]
_NO_AUGMENTATION = AugmentConfig()
_OF_LOSSES = ("balance", "margin")  # those that an adversarial loss takes, under these names


class DiscriminatorBatch(NamedTuple):
    """The data of one D update.

    Args:
        real: (N, 3, R, R) images in [-1, 1].
        y_real: (N,) int64 labels, or None without classes.
        z: (M, latent_dim) latents of the fakes.
        y_fake: (M,) int64 labels of the fakes, or None without classes.
        augment_real: (N, NUMBERS) uniform numbers for `augmented`, or None without augmentation.
        augment_fake: (M, NUMBERS) of the fakes.
    """

    real: Tensor
    y_real: Tensor | None
    z: Tensor
    y_fake: Tensor | None
    augment_real: Tensor | None = None
    augment_fake: Tensor | None = None


class GeneratorBatch(NamedTuple):
    """The data of one G update.

    Args:
        z: (M, latent_dim) latents.
        y: (M,) int64 labels, or None without classes.
        augment: (M, NUMBERS) uniform numbers for `augmented`, or None without augmentation.
    """

    z: Tensor
    y: Tensor | None
    augment: Tensor | None = None


class Objective(NamedTuple):
    """A scalar to be minimised and its named parts.

    Args:
        total: loss and penalty, with a graph.
        parts: detached scalars, for the log.
    """

    total: Tensor
    parts: dict[str, Tensor]


def initial_objective_state(
    loss: LossConfig, augment: AugmentConfig = _NO_AUGMENTATION, *, device: torch.device | str = "cpu"
) -> dict[str, Tensor]:
    """Return an objective's state at the start of a run; the caller keeps it, and saves it with its checkpoints.

    Returns:
        The balance k = 0 of BEGAN, the margin m of EBGAN, LeCam's averages, the strength of an augmentation; of most
        runs none.
    """
    state = {}
    if loss.kind == "began":
        state["balance"] = 0.0
    if loss.kind == "ebgan":
        state["margin"] = loss.margin
    if loss.lecam:
        state |= {"average_real": 0.0, "average_fake": 0.0}
    if augment.policy:
        state["strength"] = 0.0 if augment.adaptive else augment.strength
    return {name: torch.full((), value, device=device) for name, value in state.items()}


def shared_parts(loss: LossConfig, augment: AugmentConfig = _NO_AUGMENTATION) -> tuple[str, ...]:
    """Return which parts of a D update's `Objective` move its state; none of a state that stands still."""
    scores = ("score_real", "score_fake") if loss.kind == "began" or loss.lecam else ()
    return (*scores, "sign_real") if augment.adaptive else scores


@torch.no_grad()
def next_objective_state(
    state: ObjectiveState,
    parts: Mapping[str, Tensor],
    *,
    loss: LossConfig,
    augment: AugmentConfig = _NO_AUGMENTATION,
    images: int = 0,
) -> dict[str, Tensor]:
    """Return an objective's state after a D update.

    Args:
        state: from before the update; not changed.
        parts: those of `shared_parts`; where several processes train together, their mean over processes, so that the
            state stays the same in all of them.
        images: real images of the update, over all processes.
    """
    moved = dict(state)
    if loss.kind == "began":
        # Berthelot et al. 2017, section 3.4: k_{t+1} = k_t + lambda_k (gamma L(x) - L(G(z))), clipped to [0, 1], with L
        # averaged over the real and fake images of the D update.
        error_real, error_fake = -parts["score_real"], -parts["score_fake"]
        balance = state["balance"] + loss.balance_rate * (loss.diversity * error_real - error_fake)
        moved["balance"] = balance.clamp(0, 1)
    if loss.lecam:
        # Tseng et al. 2021, section 3: a moving average of the scores of each D update.
        for side in ("real", "fake"):
            average = state[f"average_{side}"]
            moved[f"average_{side}"] = average + (1 - loss.lecam_decay) * (parts[f"score_{side}"] - average)
    if augment.adaptive:
        # Karras et al. 2020, section 3: a fixed amount up if D is more certain of real images than the target, else
        # down, so that p may go from 0 to 1 over `adaptation_images`. They decide every four minibatches; here every
        # update does, by a quarter.
        direction = (parts["sign_real"] - augment.target).sign()
        moved["strength"] = (state["strength"] + direction * (images / augment.adaptation_images)).clamp(0, 1)
    return moved


def discriminator_objective(
    D: DiscriminatorFn,
    G: nn.Module,
    batch: DiscriminatorBatch,
    *,
    loss: LossConfig,
    constraint: Constraint,
    rng: torch.Generator | None = None,
    augment: AugmentConfig = _NO_AUGMENTATION,
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
        `Objective` with parts loss, penalty, score_real, score_fake, score_spread, the standard deviation of all scores
        together (and classification where D has a classifier; lecam where that is on; strength and sign_real, the mean
        sign of the real scores, where the augmentation is adaptive).
    """
    if state is None:
        state = initial_objective_state(loss, augment, device=batch.real.device)
    with torch.no_grad():
        fake = _seen(G(batch.z, batch.y_fake), batch.augment_fake, augment, state)
        batch = batch._replace(real=_seen(batch.real, batch.augment_real, augment, state))
    if one_call:
        real_out, fake_out = _split(D(*_joined(batch, fake)), len(batch.real))
    else:
        # Real images first, as in the official updater.py. One call would not be the same there: every call moves the u
        # of a spectral norm by a round. And a batch norm in D would mix real and fake statistics.
        real_out, fake_out = D(batch.real, batch.y_real), D(fake, batch.y_fake)
    own = {name: state[name] for name in _OF_LOSSES if name in state}
    adversarial = LOSSES[loss.kind].discriminator(real_out.score, fake_out.score, **own)
    total = adversarial
    parts = {"loss": adversarial, "score_real": real_out.score.mean(), "score_fake": fake_out.score.mean()}
    parts["score_spread"] = torch.cat([real_out.score.detach(), fake_out.score.detach()]).std(correction=0)
    if augment.adaptive:
        parts |= {"strength": state["strength"], "sign_real": real_out.score.sign().mean()}
    if real_out.class_logits is not None and batch.y_real is not None:
        parts["classification"] = classification_loss(real_out.class_logits, batch.y_real)
        total = total + loss.classification_d * parts["classification"]
    if loss.lecam:
        averages = state["average_real"], state["average_fake"]
        parts["lecam"] = lecam_penalty(real_out.score, fake_out.score, *averages)
        total = total + loss.lecam * parts["lecam"]
    # After both calls, since a gradient penalty is a third call of D and moves u once more.
    penalty = constraint.penalty(D, PenaltyBatch(batch.real, fake, batch.y_real), rng)
    if penalty is not None:
        parts["penalty"] = penalty
        total = total + penalty
    return Objective(total, {name: value.detach() for name, value in parts.items()})


def _seen(images: Tensor, numbers: Tensor | None, augment: AugmentConfig, state: ObjectiveState) -> Tensor:
    """Return what D is shown of real or generated images."""
    if not augment.policy:
        return images
    if numbers is None:
        raise ValueError(f"a batch without numbers, with the augmentation {', '.join(augment.policy)}: give both")
    return augmented(images, numbers, policy=augment.policy, strength=state["strength"])


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
    D: DiscriminatorFn,
    G: nn.Module,
    z: Tensor,
    y: Tensor | None,
    *,
    loss: LossConfig,
    augment: AugmentConfig = _NO_AUGMENTATION,
    numbers: Tensor | None = None,
    state: ObjectiveState | None = None,
) -> Objective:
    """Return the generator's loss on a batch of latents.

    Args:
        D: wrapped or not, as G is; the caller keeps its parameters out of the graph.
        z: (M, latent_dim) latents.
        y: (M,) int64 labels, or None without classes.
        augment: of the images that D scores, through which the gradient goes.
        numbers: (M, NUMBERS) uniform numbers for it.
        state: as for `discriminator_objective`.
    Returns:
        `Objective` with parts loss, score_fake (and classification where D has a classifier).
    """
    if state is None:
        state = initial_objective_state(loss, augment, device=z.device)
    out = D(_seen(G(z, y), numbers, augment, state), y)
    adversarial = LOSSES[loss.kind].generator(out.score)
    total = adversarial
    parts = {"loss": adversarial, "score_fake": out.score.mean()}
    if out.class_logits is not None and y is not None:
        parts["classification"] = classification_loss(out.class_logits, y)
        total = total + loss.classification_g * parts["classification"]
    return Objective(total, {name: value.detach() for name, value in parts.items()})
