"""A request for a path between two latents."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from app import limits
from app.requests.base import asked
from app.requests.latent import LatentRequest
from app.requests.origin import Label, Origin, text_of
from sngan_cond import Generator, GeneratorConfig
from sngan_cond.ancestry import moved_name, source_name
from sngan_cond.inputs import walk_inputs
from sngan_cond.latents import fractions


@dataclass(frozen=True, kw_only=True)
class WalkRequest(LatentRequest):
    """Interpolation from the latent of `seed`, or one with a name, to that of `to_seed`, within one class.

    Args:
        class_: index, name or WordNet id, or a blend; empty only for a model without classes.
        to_seed: draws the last latent.
        steps: images, both ends included.
    """

    tab = "walk"
    trigger_keys = ("class", "seed", "to_seed", "latent")
    draw = staticmethod(walk_inputs)
    moves = True
    has_command = True
    replaced = ("seed",)  # the latent at the end is truncated all the same
    no_class = "choose a class to walk in"

    class_: str = asked("class", partial(limits.text, "class"), "", names_classes=True, blends=True)
    to_seed: int = asked("to_seed", partial(limits.seed, "second seed"), 1, recipe="to_seed", argument="to_seed")
    steps: int = asked("steps", limits.steps, 8, recipe="steps", argument="steps")

    def class_arguments(self, labels: list[Label]) -> dict[str, Any]:
        """Return the arguments of `sngan_cond.walk` that depend on the labels."""
        return {"in_class": labels[0]} if labels else {}

    def image_origins(self, G: Generator, labels: list[Label]) -> list[Origin]:
        """Return the latents along the way, all with the one class."""
        end = source_name(self.to_seed, 0, self.truncation)
        text = text_of(G.config, labels[0]) if labels else ""
        return [Origin(moved_name(self.source(), way, end), text) for way in fractions(self.steps)]

    def told(self, names: list[str]) -> str:
        """Name the class that the walk stays in."""
        return f"a walk in {names[0]}" if names else "a walk"

    def parents(self, config: GeneratorConfig, labels: list[Label]) -> list[Origin]:
        """Return the image of the latent with a name that the walk starts from."""
        text = text_of(config, labels[0]) if labels else ""
        return [Origin(self.latent, text)] if self.latent else []
