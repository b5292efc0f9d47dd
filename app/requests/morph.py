"""A request for a path between two classes."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from app import limits
from app.limits import InvalidRequest
from app.requests.base import asked
from app.requests.latent import LatentRequest
from app.requests.origin import Label, Origin, text_between
from sngan_cond import Generator
from sngan_cond.inputs import morph_inputs
from sngan_cond.latents import fractions


def _class(end: str, value: Any) -> str:
    text = limits.text(f"class “{end}”", value)
    if not text:
        raise InvalidRequest(f"choose the class to morph {end}")
    return text


@dataclass(frozen=True, kw_only=True)
class MorphRequest(LatentRequest):
    """Interpolation from one class to another with a fixed latent.

    Args:
        from_class: index, name or WordNet id.
        to_class: likewise; may be the same class.
        steps: images, both ends included.
    """

    tab = "morph"
    trigger_keys = ("from", "to")
    draw = staticmethod(morph_inputs)
    moves = True
    has_command = True

    from_class: str = asked("from", partial(_class, "from"), names_classes=True)
    to_class: str = asked("to", partial(_class, "to"), names_classes=True)
    steps: int = asked("steps", limits.steps, 8, recipe="steps", argument="steps")

    def class_arguments(self, labels: list[Label]) -> dict[str, Any]:
        """Return the arguments of `sngan_cond.morph` that depend on the labels."""
        return {"from_class": labels[0], "to_class": labels[1]}

    def image_origins(self, G: Generator, labels: list[Label]) -> list[Origin]:
        """Return the one latent, and the blends along the way."""
        return [Origin(self.source(), text_between(G.config, *labels, way)) for way in fractions(self.steps)]

    def told(self, names: list[str]) -> str:
        """Name both ends."""
        return " → ".join(names)

    def captions(self, images: int, names: list[str]) -> list[str]:
        """Name the ends, and say how far along the images between them are."""
        start, end = names
        return [start, *(f"{round(100 * i / (images - 1))} %" for i in range(1, images - 1)), end]
