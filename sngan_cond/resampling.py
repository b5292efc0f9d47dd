"""Convolutions joined with a change of side, written as the paper draws them."""

import torch.nn.functional as F
from torch import Tensor


def upsample_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Upsample by 2 (nearest neighbour), then convolve with the side kept.

    Args:
        x: (N, C_in, H, W).
        weight: (C_out, C_in, k, k) with k 1 or 3.
        bias: (C_out,) or None.
    Returns:
        (N, C_out, 2H, 2W).
    """
    return F.conv2d(F.interpolate(x, scale_factor=2.0, mode="nearest"), weight, bias, padding=weight.shape[-1] // 2)


def conv_mean_pool2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve with the side kept, then average 2x2 windows.

    Args:
        x: (N, C_in, 2H, 2W).
        weight: (C_out, C_in, k, k) with k 1 or 3.
        bias: (C_out,) or None.
    Returns:
        (N, C_out, H, W).
    """
    return F.avg_pool2d(F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2), 2)
