"""Class-conditional image generation with the networks of Miyato et al. (ICLR 2018)."""

from sngan_cond.config import ConstraintConfig, DiscriminatorConfig, GeneratorConfig, LossConfig
from sngan_cond.constraints import Constraint, build_constraint
from sngan_cond.discriminator import Discriminator
from sngan_cond.ema import Ema
from sngan_cond.generator import Generator
from sngan_cond.heads import DiscriminatorOutput
from sngan_cond.sampling import mixture, morph, sample, walk

__version__ = "0.1.0"

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
