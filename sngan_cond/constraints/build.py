"""From a configuration to a constraint."""

from sngan_cond.constraints.base import Composed, Constraint
from sngan_cond.constraints.config import ConstraintConfig
from sngan_cond.constraints.feature_norm import FeatureNorm
from sngan_cond.constraints.gains import Gains
from sngan_cond.constraints.penalties import GradientPenalty, OrthonormalPenalty, SpectralNormPenalty
from sngan_cond.constraints.spectral import SpectralNorm
from sngan_cond.constraints.weight_norm import Initialization, RowNorm, SingularValueClipping, WeightClipping


def build_constraint(config: ConstraintConfig) -> Constraint:
    """Return the constraint that a configuration describes: one that does nothing, its only part, or all its parts."""
    parts = _parts(config)
    if not parts:
        return Constraint()
    return parts[0] if len(parts) == 1 else Composed(parts)


def _parts(config: ConstraintConfig) -> list[Constraint]:
    exclude = config.exclude
    gains = Gains(
        scale=config.scale,
        spread=config.scale_spread,
        seed=config.scale_seed,
        gamma=config.gamma,
        start=config.gamma_start,
    )
    # Initialisation comes first: the others may start from the weights' norms, and parametrise them.
    parts: list[Constraint] = []
    if config.init != "as_built":
        parts.append(Initialization(config.init, scale=config.init_scale, exclude=exclude))
    if config.kind == "spectral":
        parts.append(
            SpectralNorm(
                iterations=config.iterations,
                iterates_at=config.power_iterations_at,
                exclude=exclude,
                estimate=config.estimate,
                gains=gains,
            )
        )
    elif config.kind != "none":
        parts.append(RowNorm(config.kind, exclude=exclude, gains=gains))
    if config.features != "none":
        parts.append(FeatureNorm(config.features))
    if config.gradient_penalty:
        parts.append(GradientPenalty(config.gradient_penalty))
    if config.orthonormal_penalty:
        parts.append(OrthonormalPenalty(config.orthonormal_penalty, exclude=exclude))
    if config.spectral_penalty:
        parts.append(SpectralNormPenalty(config.spectral_penalty, iterations=config.iterations, exclude=exclude))
    if config.weight_clip:
        parts.append(WeightClipping(config.weight_clip, exclude=exclude))
    if config.singular_clip_every:
        parts.append(SingularValueClipping(config.singular_clip_every, limit=config.singular_clip, exclude=exclude))
    return parts
