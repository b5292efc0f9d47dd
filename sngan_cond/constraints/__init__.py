"""Constraints on a network's weights and features, and how a configuration becomes one."""

from sngan_cond.constraints.base import Composed, Constraint
from sngan_cond.constraints.build import build_constraint
from sngan_cond.constraints.features import FeatureNorm
from sngan_cond.constraints.fold import fold
from sngan_cond.constraints.gains import Gains
from sngan_cond.constraints.penalties import GradientPenalty, OrthonormalPenalty, SpectralNormPenalty
from sngan_cond.constraints.spectral import SpectralNorm
from sngan_cond.constraints.weights import Initialization, RowNorm, SingularValueClipping, WeightClipping

__all__ = [
    "Composed",
    "Constraint",
    "FeatureNorm",
    "Gains",
    "GradientPenalty",
    "Initialization",
    "OrthonormalPenalty",
    "RowNorm",
    "SingularValueClipping",
    "SpectralNorm",
    "SpectralNormPenalty",
    "WeightClipping",
    "build_constraint",
    "fold",
]
