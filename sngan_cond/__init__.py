"""Class-conditional image generation with the networks of Miyato et al. (ICLR 2018).

Names are imported at their first use, so that `import sngan_cond` and its commands' help need no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sngan_cond.config import DiscriminatorConfig, GeneratorConfig, LossConfig
    from sngan_cond.constraints.base import Constraint
    from sngan_cond.constraints.build import build_constraint
    from sngan_cond.constraints.config import ConstraintConfig
    from sngan_cond.ema import Ema
    from sngan_cond.networks.discriminator import Discriminator
    from sngan_cond.networks.generator import Generator
    from sngan_cond.networks.heads import DiscriminatorOutput
    from sngan_cond.sampling import mixture, morph, sample, walk

__version__ = "0.1.0"

_MODULES = {
    "Constraint": "constraints.base",
    "ConstraintConfig": "constraints.config",
    "Discriminator": "networks.discriminator",
    "DiscriminatorConfig": "config",
    "DiscriminatorOutput": "networks.heads",
    "Ema": "ema",
    "Generator": "networks.generator",
    "GeneratorConfig": "config",
    "LossConfig": "config",
    "build_constraint": "constraints.build",
    "mixture": "sampling",
    "morph": "sampling",
    "sample": "sampling",
    "walk": "sampling",
}
__all__ = [
    "Constraint",
    "ConstraintConfig",
    "Discriminator",
    "DiscriminatorConfig",
    "DiscriminatorOutput",
    "Ema",
    "Generator",
    "GeneratorConfig",
    "LossConfig",
    "build_constraint",
    "mixture",
    "morph",
    "sample",
    "walk",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value  # found without this function from now on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
