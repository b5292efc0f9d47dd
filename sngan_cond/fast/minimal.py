"""Resampling and 3x3 convolution with 9 products for each small pixel: the folded kernel's taps share their sums.

In one dimension, upsampling by 2 and a kernel (w0, w1, w2) give, with s = w0 + w1 + w2,

    y[2i]     = w0 x[i-1] + (w1 + w2) x[i]  =  s x[i] - w0 x[i] + w0 x[i-1]
    y[2i + 1] = (w0 + w1) x[i] + w2 x[i+1]  =  s x[i] - w2 x[i] + w2 x[i+1]

three products for two outputs where the strided form takes four and the plain form six. Convolution and mean pooling
is the transposed map. With both axes: 9, 16 and 36. All coefficients are 1 and -1, so rounding stays that of the plain
form within a small factor. The products are one matrix multiplication over channels in channels-last memory; `spread`
and `gather`, each the transpose of the other, are the sums around it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

# For the native kernels. Rows: the taps (s, w0, w2) of one axis; columns: w0, w1, w2.
_AXIS = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
UPSAMPLE_TAPS = torch.kron(_AXIS, _AXIS)  # (9, 9)
MEAN_POOL_TAPS = torch.kron(_AXIS.flip(1), _AXIS.flip(1)) / 4


def folded_taps(weight: Tensor) -> Tensor:
    """Replace (w0, w1, w2) by (w0 + w1 + w2, w0, w2) on both axes of a kernel (C_out, C_in, 3, 3)."""
    for axis in (2, 3):
        first, middle, last = weight.unbind(axis)
        weight = torch.stack([first + middle + last, first, last], axis)
    return weight


def spread(maps: Tensor) -> Tensor:
    """Sum nine maps to one of twice the side.

    Args:
        maps: (N, H, W, 3, 3, C), products with the taps (s, w0, w2) of each axis.
    Returns:
        (N, 2H, 2W, C).
    """
    for axis in (1, 2):
        centre, first, last = maps.unbind(3)
        before = (0, 0) * (maps.ndim - 2 - axis) + (1, -1)
        after = (0, 0) * (maps.ndim - 2 - axis) + (-1, 1)
        even, odd = centre - first + F.pad(first, before), centre - last + F.pad(last, after)
        maps = torch.stack([even, odd], axis + 1).flatten(axis, axis + 1)
    return maps


def gather(y: Tensor) -> Tensor:
    """Sum windows of a map to nine of half the side, the transpose of `spread`.

    Args:
        y: (N, 2H, 2W, C).
    Returns:
        (N, H, W, 3, 3, C).
    """
    for axis in (2, 1):  # the tap axis of the second is put before that of the first
        even, odd = (y.narrow(axis, k, y.shape[axis] - 1) for k in range(2))
        step = (slice(None),) * axis + (slice(None, None, 2),)
        even, odd = even[step], odd[step]
        after = (0, 0) * (y.ndim - 1 - axis) + (-1, 1)
        before = (0, 0) * (y.ndim - 1 - axis) + (1, -1)
        y = torch.stack([even + odd, F.pad(even, after) - even, F.pad(odd, before) - odd], 3)
    return y


def upsample_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Upsample by 2 and convolve.

    Args:
        x: (N, C_in, H, W).
        weight: (C_out, C_in, 3, 3).
        bias: (C_out,) or None.
    Returns:
        (N, C_out, 2H, 2W), channels-last in memory.
    """
    taps = folded_taps(weight).flatten(2).permute(2, 0, 1)  # (9, C_out, C_in)
    products = x.permute(0, 2, 3, 1) @ taps.flatten(0, 1).T  # (N, H, W, 9 C_out)
    y = spread(products.view(*products.shape[:3], 3, 3, len(weight)))
    return (y if bias is None else y + bias).permute(0, 3, 1, 2)


def conv_mean_pool2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve and average 2x2 windows.

    Args:
        x: (N, C_in, 2H, 2W).
        weight: (C_out, C_in, 3, 3).
        bias: (C_out,) or None.
    Returns:
        (N, C_out, H, W), channels-last in memory.
    """
    taps = (folded_taps(weight.flip(2, 3)) / 4).flatten(2).transpose(1, 2)  # (C_out, 9, C_in)
    maps = gather(x.permute(0, 2, 3, 1)).flatten(3)  # (N, H, W, 9 C_in)
    return F.linear(maps, taps.flatten(1), bias).permute(0, 3, 1, 2)
