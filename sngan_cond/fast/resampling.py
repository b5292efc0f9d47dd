"""Convolutions joined with nearest-neighbour upsampling or 2x2 mean pooling: as written in the papers, and in fewer
multiplications.

Both resamplings are linear, so each joins the convolution beside it exactly:

- A 3x3 kernel on an upsampled image meets each small pixel through 2x2 copies of it. Summing the kernel over those 2x2
  windows gives a 4x4 kernel, and the pair becomes one transposed convolution of stride 2: 16 multiplications for a
  small pixel instead of 36. Mean pooling after a convolution is the adjoint: the same 4x4 kernel over 4, with stride 2.
- A 1x1 convolution commutes with both, so it runs at the small side: 1 multiplication instead of 4.
"""

import torch.nn.functional as F
from torch import Tensor


def plain_upsample_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Upsample by 2, then convolve (C_out, C_in, k, k): (N, C_in, H, W) to (N, C_out, 2H, 2W)."""
    return F.conv2d(F.interpolate(x, scale_factor=2.0, mode="nearest"), weight, bias, padding=weight.shape[-1] // 2)


def plain_conv_mean_pool2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve (C_out, C_in, k, k), then average 2x2 windows: (N, C_in, 2H, 2W) to (N, C_out, H, W)."""
    return F.avg_pool2d(F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2), 2)


def pointwise_upsample_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve (C_out, C_in, 1, 1), then upsample by 2: (N, C_in, H, W) to (N, C_out, 2H, 2W)."""
    return F.interpolate(F.conv2d(x, weight, bias), scale_factor=2.0, mode="nearest")


def pointwise_conv_mean_pool2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Average 2x2 windows, then convolve (C_out, C_in, 1, 1): (N, C_in, 2H, 2W) to (N, C_out, H, W)."""
    return F.conv2d(F.avg_pool2d(x, 2), weight, bias)


def strided_upsample_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Upsample by 2 and convolve (C_out, C_in, 3, 3) as one 4x4 transposed convolution of stride 2.

    (N, C_in, H, W) to (N, C_out, 2H, 2W).
    """
    # A transposed convolution correlates with the flipped kernel and has its channel axes the other way round.
    kernel = window_sums(weight).flip(2, 3).transpose(0, 1)  # (C_in, C_out, 4, 4)
    return F.conv_transpose2d(x, kernel, bias, stride=2, padding=1)


def strided_conv_mean_pool2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve (C_out, C_in, 3, 3) and average 2x2 windows as one 4x4 convolution of stride 2.

    (N, C_in, 2H, 2W) to (N, C_out, H, W).
    """
    return F.conv2d(x, window_sums(weight) / 4, bias, stride=2, padding=1)


def window_sums(weight: Tensor) -> Tensor:
    """Sum a 3x3 kernel over all 2x2 windows that touch it.

    Args:
        weight: (C_out, C_in, 3, 3), already normalised where it is constrained.
    Returns:
        (C_out, C_in, 4, 4).
    """
    padded = F.pad(weight, (1, 1, 1, 1))
    pairs = padded[:, :, 1:] + padded[:, :, :-1]
    return pairs[..., 1:] + pairs[..., :-1]
