"""A request for images near one."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from app import limits
from app.requests.base import Request, asked
from app.requests.origin import Label, Origin, text_of
from sngan_cond import Generator, GeneratorConfig
from sngan_cond.ancestry import moved_name, source_name
from sngan_cond.inputs import vary_inputs


@dataclass(frozen=True, kw_only=True)
class VaryRequest(Request):
    """Images whose latents lie near one: each goes a fraction of the way towards another row of the seed.

    Args:
        latent: name of the latent that they lie around.
        class_: index, name or WordNet id, or a blend; empty only for a model without classes.
        radius: fraction of the way, 0 to 1.
        count: images.
    """

    tab = "vary"
    trigger_keys = ("latent", "class", "radius", "seed")
    draw = staticmethod(vary_inputs)
    has_command = True
    no_class = "choose the class of the images"

    latent: str = asked("latent", partial(limits.parent, "latent"), "0:0", recipe="latent", argument="latent")
    class_: str = asked("class", partial(limits.text, "class"), "", names_classes=True, blends=True)
    radius: float = asked("radius", limits.radius, 0.2, recipe="radius", argument="radius")
    count: int = asked("n", limits.count, 8, recipe="pictures", argument="n")

    def class_arguments(self, labels: list[Label]) -> dict[str, Any]:
        """Return the arguments of `sngan_cond.vary` that depend on the labels."""
        return {"in_class": labels[0]} if labels else {}

    def image_origins(self, G: Generator, labels: list[Label]) -> list[Origin]:
        """Return the latent moved towards each row of the seed, all with the one class."""
        text = text_of(G.config, labels[0]) if labels else ""
        ends = (source_name(self.seed, row) for row in range(self.count))
        return [Origin(moved_name(self.latent, self.radius, end), text) for end in ends]

    def told(self, names: list[str]) -> str:
        """Name the class."""
        return f"variations of {names[0]}" if names else "variations"

    def parents(self, config: GeneratorConfig, labels: list[Label]) -> list[Origin]:
        """Return the image around which they lie."""
        return [Origin(self.latent, text_of(config, labels[0]) if labels else "")]
