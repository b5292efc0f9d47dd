"""A request for images of classes."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from app import limits
from app.limits import LIMITS, InvalidRequest
from app.requests.base import asked
from app.requests.latent import LatentRequest
from app.requests.origin import Label, Origin, text_of
from sngan_cond import Generator
from sngan_cond.inputs import sample_inputs


def _count(value: Any, classes: tuple[str, ...]) -> int:
    count = limits.count(value)
    if count * max(1, len(classes)) > LIMITS.images:
        raise InvalidRequest(
            f"{count} images of each of {len(classes)} classes are {count * len(classes)}: "
            f"at most {LIMITS.images} at once are allowed"
        )
    return count


@dataclass(frozen=True, kw_only=True)
class SampleRequest(LatentRequest):
    """Images of classes, one row of the grid for each class.

    Args:
        classes: indices, names or WordNet ids; empty only for a model without classes.
        count: images of each class.
    """

    tab = "sample"
    trigger_keys = ("class", "seed", "latent")
    draw = staticmethod(sample_inputs)
    has_command = True
    no_class = "choose at least one class"
    class_twice = "a class is chosen twice: name it once, and ask for more images of each class"

    classes: tuple[str, ...] = asked(
        "class", partial(limits.classes, limit=LIMITS.classes), (), many=True, names_classes=True
    )
    count: int = asked("n", _count, 8, beside=("classes",), recipe="pictures_of_each_class")

    def class_arguments(self, labels: list[Label]) -> dict[str, Any]:
        """Return the arguments of `sngan_cond.sample` that depend on the labels."""
        return {"classes": [label for label in labels for _ in range(self.count)]} if labels else {"n": self.count}

    def python_arguments(self, labels: list[Label]) -> dict[str, str]:
        """Return all of them as source code, which names each class once."""
        classes = {"classes": f"[c for c in {labels} for _ in range({self.count})]"} if labels else {}
        return super().python_arguments(labels) | classes

    def image_origins(self, G: Generator, labels: list[Label]) -> list[Origin]:
        """Return the rows of the seed, and the class of each."""
        texts = [text_of(G.config, label) for label in labels for _ in range(self.count)] or [""] * self.count
        return [Origin(self.source(row), text) for row, text in enumerate(texts)]

    def titles(self, names: list[str]) -> list[str]:
        """Return the name of each row's class."""
        return names if self.rows(len(names)) else super().titles(names)

    def captions(self, images: int, names: list[str]) -> list[str]:
        """Name each image's class; without classes, number the images."""
        return [name for name in names for _ in range(self.count)] or super().captions(images, names)

    def rows(self, classes: int) -> int:
        """Return a row for each class; one class, or one image of each, makes a square."""
        return classes if classes > 1 and self.count > 1 else 0
