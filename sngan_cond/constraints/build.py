"""From a configuration to the constraint of a network."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sngan_cond.constraints import feature_norm, normalised_weights, penalties, weights
from sngan_cond.constraints.config import OFF, ConstraintConfig
from sngan_cond.constraints.penalties import DiscriminatorFn, PenaltyBatch, Rng


def _never(_config: ConstraintConfig) -> bool:
    return False


def _always(_config: ConstraintConfig) -> bool:
    return True


class Part(NamedTuple):
    """What one field of a configuration switches on; every function gets the configuration last.

    Args:
        attach: changes the layers of a freshly initialised network in place, once, before training.
        penalty: returns a scalar that is added to the D objective.
        after_step: changes the weights of the unwrapped discriminator in place, after the optimiser's step.
        twice: whether the penalty differentiates D's score, so that an update differentiates twice.
        one_call: whether a score depends neither on the other images of a call of D nor on how many calls came before,
            so that one call on all images of an update equals several.
    """

    attach: Callable[[nn.Module, ConstraintConfig], None] | None = None
    penalty: Callable[[DiscriminatorFn, PenaltyBatch, Rng, ConstraintConfig], Tensor] | None = None
    after_step: Callable[[nn.Module, ConstraintConfig], None] | None = None
    twice: bool = False
    one_call: Callable[[ConstraintConfig], bool] = _never


# By the field that switches it on, in the order in which parts apply. Initialisation comes first: the others may start
# from the weights' norms, and parametrise them.
PARTS: dict[str, Part] = {
    "init": Part(attach=weights.initialise, one_call=_always),
    "kind": Part(
        attach=normalised_weights.normalise_weights,
        after_step=normalised_weights.iterate_after_step,
        one_call=normalised_weights.stands_still_between_steps,
    ),
    "features": Part(attach=feature_norm.normalise_features, one_call=feature_norm.normalises_images_alone),
    "gradient_penalty": Part(penalty=penalties.gradient_penalty, twice=True, one_call=_always),
    "orthonormal_penalty": Part(penalty=penalties.orthonormal_penalty, one_call=_always),
    "spectral_penalty": Part(
        attach=penalties.start_spectral_penalty, penalty=penalties.spectral_penalty, one_call=_always
    ),
    "weight_clip": Part(after_step=weights.clip_weights, one_call=_always),
    "singular_clip_every": Part(
        attach=weights.count_updates, after_step=weights.clip_singular_values, one_call=_always
    ),
}


class Constraint:
    """The constraint of a network: attached once, a penalty in the D objective, a step after each D update.

    A network is made of plain layers and does not know its constraint.

    Args:
        config: None constrains nothing.
    """

    config = OFF  # of a subclass that has a constructor of its own
    parts: Mapping[str, Part] = {}

    def __init__(self, config: ConstraintConfig | None = None) -> None:
        self.config = config or OFF
        self.parts = {name: part for name, part in PARTS.items() if getattr(self.config, name) != getattr(OFF, name)}

    @property
    def one_call(self) -> bool:
        """Whether D may score real and fake images in one call, since that equals two; of a subclass nobody knows."""
        return type(self) is Constraint and all(part.one_call(self.config) for part in self.parts.values())

    def attach(self, network: nn.Module) -> None:
        """Change the layers of a freshly initialised discriminator, or generator, in place, once, before training.

        The network's `constraint` says from then on what was attached, so that whoever saves it can tell.
        """
        for part in self.parts.values():
            if part.attach:
                part.attach(network, self.config)
        network.constraint = self.config  # type: ignore[assignment]  # of anything that is no tensor

    def penalty(self, D: DiscriminatorFn, batch: PenaltyBatch, rng: Rng = None) -> Tensor | None:
        """Return the term that the constraint adds to the D objective: a scalar, or None where there is none."""
        terms = [part.penalty(D, batch, rng, self.config) for part in self.parts.values() if part.penalty]
        return torch.stack(terms).sum() if terms else None

    def after_step(self, D: nn.Module) -> None:
        """Change the weights of the unwrapped discriminator in place, after the optimiser's step."""
        for part in self.parts.values():
            if part.after_step:
                part.after_step(D, self.config)


def build_constraint(config: ConstraintConfig) -> Constraint:
    """Return the constraint that a configuration describes."""
    return Constraint(config)
