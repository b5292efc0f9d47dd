"""The widths and sides of every ResNet, as data: one row per resolution."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StagePlan:
    """Widths of both ResNets at one resolution, in multiples of the base channel count.

    Args:
        first_side: side in pixels of the generator's first feature map.
        g_widths: width of the first feature map, then of each up block's output.
        d_widths: width of each down block's output.
        d_halves: how many of the discriminator's blocks, counted from the first, halve the side.
        g_channels: the official base channel count of the generator.
        d_channels: the official base channel count of the discriminator.
        score_bias: whether the discriminator's score layer has a bias.
        concat_after: number of down blocks before label planes join the trunk (concat head).
    """

    first_side: int
    g_widths: tuple[int, ...]
    d_widths: tuple[int, ...]
    d_halves: int
    g_channels: int = 64
    d_channels: int = 64
    score_bias: bool = True
    concat_after: int = 3


# Rows 32, 64, 128 and 256 follow gen_models/resnet*.py and dis_models/snresnet*.py of
# pfnet-research/sngan_projection@e84b1a5; row 48 follows Table 5 of Miyato et al. 2018.
# How many blocks halve is data, not a formula: at 64 px all five do.
PLANS: dict[int, StagePlan] = {
    32: StagePlan(4, (1, 1, 1, 1), (1, 1, 1, 1), 2, g_channels=256, d_channels=128, score_bias=False),
    48: StagePlan(6, (8, 4, 2, 1), (1, 2, 4, 8, 16), 4),
    64: StagePlan(4, (16, 8, 4, 2, 1), (1, 2, 4, 8, 16), 5),
    128: StagePlan(4, (16, 16, 8, 4, 2, 1), (1, 2, 4, 8, 16, 16), 5),
    256: StagePlan(4, (16, 16, 8, 8, 4, 2, 1), (1, 2, 4, 8, 8, 16, 16), 6),
}


def plan_for(resolution: int) -> StagePlan:
    """Return the ResNet stage plan of a resolution.

    Args:
        resolution: side of the images in pixels.
    Returns:
        The row of `PLANS`.
    Raises:
        ValueError: if no plan exists for `resolution`.
    """
    if resolution not in PLANS:
        raise ValueError(f"resolution={resolution}: the resnet architecture has plans for {sorted(PLANS)} px")
    return PLANS[resolution]


for _resolution, _plan in PLANS.items():
    assert _plan.first_side * 2 ** (len(_plan.g_widths) - 1) == _resolution, _resolution
