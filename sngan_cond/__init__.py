"""Class-conditional image generation with the networks of Miyato et al. (ICLR 2018).

Names are imported when they are first used, so that `import sngan_cond` and the commands' help need no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

# The names stand three times, each for a reader who knows only that form: type checkers and editors follow imports, and
# read `__all__` only where it is a list of literals (so it is not made from the mapping); the mapping is for running
# code. tests/sngan_cond/test_cli.py holds them together.
if TYPE_CHECKING:
    from sngan_cond.config import DiscriminatorConfig, GeneratorConfig, LossConfig
    from sngan_cond.constraints.build import Constraint, build_constraint
    from sngan_cond.constraints.config import ConstraintConfig
    from sngan_cond.ema import Ema
    from sngan_cond.networks.discriminator import Discriminator
    from sngan_cond.networks.generator import Generator
    from sngan_cond.networks.heads import DiscriminatorOutput
    from sngan_cond.sampling import mixture, morph, sample, walk
    from sngan_cond.variations import cross, vary

__version__ = "0.1.0"

_MODULE_OF = {
    "Constraint": "constraints.build",
    "ConstraintConfig": "constraints.config",
    "Discriminator": "networks.discriminator",
    "DiscriminatorConfig": "config",
    "DiscriminatorOutput": "networks.heads",
    "Ema": "ema",
    "Generator": "networks.generator",
    "GeneratorConfig": "config",
    "LossConfig": "config",
    "build_constraint": "constraints.build",
    "cross": "variations",
    "mixture": "sampling",
    "morph": "sampling",
    "sample": "sampling",
    "vary": "variations",
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
    "cross",
    "mixture",
    "morph",
    "sample",
    "vary",
    "walk",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value  # from now on it is found without this function
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
