"""The request for one image alone."""

from app.requests.base import Request
from app.requests.mixture import MixtureRequest
from app.requests.origin import Origin
from app.requests.sample import SampleRequest
from sngan_cond import GeneratorConfig
from sngan_cond.blends import class_blend
from sngan_cond.classes import class_text


def single(origin: Origin, config: GeneratorConfig, *, model: str = "", revision: str = "") -> Request:
    """Return the request for the image of an origin: of a class, or of a mixture where it is a blend.

    Args:
        config: of the model's generator.
        model, revision: as in `Request`.
    Raises:
        ValueError: if the origin's class is none of the model's.
    """
    blend = class_blend(config, origin.class_) if origin.class_ else {}
    if len(blend) <= 1:
        classes = tuple(class_text(config, label) for label in blend)
        return SampleRequest(classes=classes, count=1, latent=origin.latent, model=model, revision=revision)
    return MixtureRequest(
        classes=tuple(class_text(config, label) for label in blend),
        weights=tuple(blend.values()),
        count=1,
        latent=origin.latent,
        model=model,
        revision=revision,
    )
