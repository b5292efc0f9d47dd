"""The ResNets of the papers at each resolution, as data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StagePlan:
    """Widths of both ResNets at one resolution, in multiples of the base channel count.

    Args:
        first_side: side in pixels of the generator's first feature map.
        g_widths: width of the first feature map, then of each up block's output.
        d_widths: width of each down block's output.
        d_halves: how many of the discriminator's blocks, counted from the first, halve the side.
        g_channels: the generator's published base channel count.
        d_channels: the discriminator's.
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


# 32, 64, 128 and 256 px follow gen_models/resnet*.py and dis_models/snresnet*.py of
# pfnet-research/sngan_projection@e84b1a5; 48 px follows Table 5 of Miyato et al. 2018.
# How many blocks halve is data, not a formula: at 64 px all five do, at 128 px the last of six does not.
PLANS: dict[int, StagePlan] = {
    32: StagePlan(4, (1, 1, 1, 1), (1, 1, 1, 1), 2, g_channels=256, d_channels=128, score_bias=False),
    48: StagePlan(6, (8, 4, 2, 1), (1, 2, 4, 8, 16), 4),
    64: StagePlan(4, (16, 8, 4, 2, 1), (1, 2, 4, 8, 16), 5),
    128: StagePlan(4, (16, 16, 8, 4, 2, 1), (1, 2, 4, 8, 16, 16), 5),
    256: StagePlan(4, (16, 16, 8, 8, 4, 2, 1), (1, 2, 4, 8, 8, 16, 16), 6),
}
