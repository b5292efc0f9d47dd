"""Resampling and 3x3 convolution as one strided 4x4 convolution: 16 products for each small pixel instead of 36."""

import torch.nn.functional as F
from torch import Tensor


def folded_kernel(weight: Tensor) -> Tensor:
    """Sum a 3x3 kernel over all 2x2 windows that touch it.

    Args:
        weight: (C_out, C_in, 3, 3), already normalised where it is constrained.
    Returns:
        (C_out, C_in, 4, 4).
    """
    padded = F.pad(weight, (1, 1, 1, 1))
    rows = padded[:, :, 1:] + padded[:, :, :-1]
    return rows[..., 1:] + rows[..., :-1]


def upsample_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Upsample by 2 and convolve, as a 4x4 transposed convolution of stride 2.

    Args:
        x: (N, C_in, H, W).
        weight: (C_out, C_in, 3, 3).
        bias: (C_out,) or None.
    Returns:
        (N, C_out, 2H, 2W).
    """
    kernel = folded_kernel(weight).flip(2, 3).transpose(0, 1)  # (C_in, C_out, 4, 4)
    return F.conv_transpose2d(x, kernel, bias, stride=2, padding=1)


def conv_mean_pool2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve and average 2x2 windows, as a 4x4 convolution of stride 2.

    Args:
        x: (N, C_in, 2H, 2W).
        weight: (C_out, C_in, 3, 3).
        bias: (C_out,) or None.
    Returns:
        (N, C_out, H, W).
    """
    return F.conv2d(x, folded_kernel(weight) / 4, bias, stride=2, padding=1)
