"""A request for images of a weighted blend of classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from app import limits
from app.limits import LIMITS, InvalidRequest
from app.requests.base import asked
from app.requests.latent import LatentRequest
from app.requests.origin import Label, Origin
from sngan_cond import Generator
from sngan_cond.blends import blend_text
from sngan_cond.inputs import mixture_inputs


def _weights(value: Any, classes: tuple[str, ...]) -> tuple[float, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != len(classes):
        raise InvalidRequest(f"weights: {len(classes)} numbers are expected, one of each class")
    if not classes:
        raise InvalidRequest("choose at least one class to mix")
    weights = tuple(map(limits.weight, value))
    if not any(weights):
        raise InvalidRequest("all weights are 0: at least one above 0 is needed")
    return weights


@dataclass(frozen=True, kw_only=True)
class MixtureRequest(LatentRequest):
    """Images of a blend of classes.

    Args:
        classes: indices, names or WordNet ids.
        weights: one for each class, at least one above 0; only their proportions count.
        count: images.
    """

    tab = "mixture"
    trigger_keys = ("class",)
    draw = staticmethod(mixture_inputs)
    has_command = True
    class_twice = "a class is in the mixture twice: give it one weight"

    classes: tuple[str, ...] = asked(
        "class", partial(limits.classes, limit=LIMITS.mixture_classes), many=True, names_classes=True
    )
    weights: tuple[float, ...] = asked("weight", _weights, many=True, beside=("classes",), recipe="weights")
    count: int = asked("n", limits.count, 8, recipe="pictures", argument="n")

    def class_arguments(self, labels: list[Label]) -> dict[str, Any]:
        """Return the arguments of `sngan_cond.mixture` that depend on the labels."""
        return {"weights": dict(zip(labels, self.weights, strict=True))}

    def image_origins(self, G: Generator, labels: list[Label]) -> list[Origin]:
        """Return the rows of the seed, all with the one blend."""
        text = blend_text(G.config, dict(zip(labels, self.weights, strict=True)))
        return [Origin(self.source(row), text) for row in range(self.count)]

    def told(self, names: list[str]) -> str:
        """Name the classes with their shares."""
        total = sum(self.weights)
        return " + ".join(f"{w / total:.0%} {name}" for w, name in zip(self.weights, names, strict=True) if w)
