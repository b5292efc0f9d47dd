"""Where an image comes from: the name of its latent, and its class or blend of classes as text."""

from dataclasses import dataclass

from sngan_cond import GeneratorConfig
from sngan_cond.blends import blend_text, class_blend
from sngan_cond.classes import class_text

Label = int | str  # of a class; or, as `blend_text` writes it, a blend of several


@dataclass(frozen=True)
class Origin:
    """What makes an image, and can be a parent of others.

    Args:
        latent: canonical name, as in `sngan_cond.ancestry`.
        class_: as `text_of` writes it; empty for a model without classes.
    """

    latent: str
    class_: str


def label_of(config: GeneratorConfig, text: str) -> Label:
    """Look up a class or a blend.

    Raises:
        ValueError: if it is unknown, ambiguous or malformed.
    """
    blend = class_blend(config, text)
    return next(iter(blend)) if len(blend) == 1 else blend_text(config, blend)


def text_of(config: GeneratorConfig, label: Label) -> str:
    """Return what to write for a class or a blend in links; `label_of` turns it back."""
    return class_text(config, label) if isinstance(label, int) else label


def classes_in(config: GeneratorConfig, label: Label) -> list[int]:
    """Return the labels of the classes in a blend, or the one of a class."""
    return list(class_blend(config, label))


def text_between(config: GeneratorConfig, start: Label, end: Label, fraction: float) -> str:
    """Return the text of what lies between two classes or blends, a fraction of the way from start to end."""
    if start == end or fraction in (0, 1):
        return text_of(config, end if fraction == 1 else start)
    weights = dict[int, float]()
    for label, share in ((start, 1 - fraction), (end, fraction)):
        blend = class_blend(config, label)
        for index, weight in blend.items():
            weights[index] = weights.get(index, 0.0) + share * weight / sum(blend.values())
    return blend_text(config, weights)
