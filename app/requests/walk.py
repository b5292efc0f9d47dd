"""A request for a path between two latents."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from app import limits
from app.requests.base import TruncatedRequest, asked
from sngan_cond.inputs import walk_inputs


@dataclass(frozen=True, kw_only=True)
class WalkRequest(TruncatedRequest):
    """Interpolation from the latent of `seed` to that of `to_seed`, within one class.

    Args:
        class_: index, name or WordNet id; empty only for a model without classes.
        to_seed: draws the last latent.
        steps: images, both ends included.
    """

    tab = "walk"
    trigger_keys = ("class", "seed", "to_seed")
    draw = staticmethod(walk_inputs)
    moves = True
    has_command = True
    no_class = "choose a class to walk in"

    class_: str = asked("class", partial(limits.text, "class"), "", names_classes=True)
    to_seed: int = asked("to_seed", partial(limits.seed, "second seed"), 1, recipe="to_seed", argument="to_seed")
    steps: int = asked("steps", limits.steps, 8, recipe="steps", argument="steps")

    def class_arguments(self, labels: list[int]) -> dict[str, Any]:
        """Return the arguments of `sngan_cond.walk` that depend on the labels."""
        return {"in_class": labels[0]} if labels else {}
