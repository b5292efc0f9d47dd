"""A request for what lies between two images."""

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from app import limits
from app.limits import InvalidRequest
from app.requests.base import Request, asked
from app.requests.origin import Label, Origin, text_between, text_of
from sngan_cond import Generator, GeneratorConfig
from sngan_cond.ancestry import moved_name
from sngan_cond.inputs import cross_inputs
from sngan_cond.latents import fractions


def _to_class(value: Any, class_: str) -> str:
    text = limits.text("second class", value)
    if bool(text) != bool(class_):
        raise InvalidRequest("choose the classes of both images, or of neither for a model without classes")
    return text


@dataclass(frozen=True, kw_only=True)
class CrossRequest(Request):
    """Two images crossed: down the rows goes the latent from the one to the other, along each row the class.

    Args:
        latent: name of the first image's latent.
        class_: class of the first image: index, name or WordNet id, or a blend; empty only for a model without classes.
        to_latent: name of the second image's latent.
        to_class: class of the second image, likewise.
        steps: rows, and columns where there are classes.
    """

    tab = "cross"
    trigger_keys = ("latent", "to_latent", "class", "to_class")
    draw = staticmethod(cross_inputs)
    has_command = True
    no_class = "choose the classes of both images"

    seed: ClassVar[int] = 0  # not a field: nothing is drawn
    latent: str = asked("latent", partial(limits.parent, "latent"), "0:0", recipe="latent", argument="latent")
    class_: str = asked("class", partial(limits.text, "class"), "", names_classes=True, blends=True)
    to_latent: str = asked(
        "to_latent", partial(limits.parent, "second latent"), "1:0", recipe="to_latent", argument="to_latent"
    )
    to_class: str = asked("to_class", _to_class, "", names_classes=True, blends=True, beside=("class_",))
    steps: int = asked("steps", limits.cross_steps, 4, recipe="steps", argument="steps")

    def class_arguments(self, labels: list[Label]) -> dict[str, Any]:
        """Return the arguments of `sngan_cond.cross` that depend on the labels."""
        return {"in_class": labels[0], "to_class": labels[1]} if labels else {}

    def image_origins(self, G: Generator, labels: list[Label]) -> list[Origin]:
        """Return the latents on the way from one to the other, each with the classes on theirs."""
        ways = fractions(self.steps)
        texts = [text_between(G.config, *labels, way) for way in ways] if labels else [""]
        return [Origin(moved_name(self.latent, way, self.to_latent), text) for way in ways for text in texts]

    def captions(self, images: int, names: list[str]) -> list[str]:
        """Say how far along each image is."""
        shares = [round(100 * i / (self.steps - 1)) for i in range(self.steps)]
        if not names:
            return [f"latent {share} %" for share in shares]
        return [f"latent {down} %, class {along} %" for down in shares for along in shares]

    def rows(self, classes: int) -> int:
        """Return a row for each latent."""
        return self.steps

    def told(self, names: list[str]) -> str:
        """Name both classes."""
        return " × ".join(names) or "two images crossed"

    def parents(self, config: GeneratorConfig, labels: list[Label]) -> list[Origin]:
        """Return both images."""
        texts = [text_of(config, label) for label in labels] or ["", ""]
        return [Origin(latent, text) for latent, text in zip((self.latent, self.to_latent), texts, strict=True)]
