"""3x3 convolution with the side kept by minimal filtering F(2x2, 3x3): 16 products for four pixels instead of 36.

Source: Lavin and Gray 2016, section 4.1. All coefficients on pixels are 1 and -1, so that rounding stays that of the
direct form within a small factor; the larger tiles of the paper, which round worse, are not used.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

# For the native kernels. Rows: the taps (s, w0, w2) of one axis; columns: w0, w1, w2.
_SUMS = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
UPSAMPLE_FILTER = torch.kron(_SUMS, _SUMS)  # (9, 9)
MEAN_POOL_FILTER = torch.kron(_SUMS.flip(1), _SUMS.flip(1)) / 4
# G of Lavin and Gray's F(2, 3), for both axes.
_G = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]])
WINOGRAD_FILTER = torch.kron(_G, _G)  # (16, 9)


def axis_sums(weight: Tensor) -> Tensor:
    """Replace (w0, w1, w2) by (w0 + w1 + w2, w0, w2) on both axes of a kernel (C_out, C_in, 3, 3)."""
    for axis in (2, 3):
        first, middle, last = weight.unbind(axis)
        weight = torch.stack([first + middle + last, first, last], axis)
    return weight


def upsample_transform(maps: Tensor) -> Tensor:
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


def upsample_adjoint(y: Tensor) -> Tensor:
    """Sum windows of a map to nine of half the side, the transpose of `upsample_transform`.

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
    taps = axis_sums(weight).flatten(2).permute(2, 0, 1)  # (9, C_out, C_in)
    products = x.permute(0, 2, 3, 1) @ taps.flatten(0, 1).T  # (N, H, W, 9 C_out)
    y = upsample_transform(products.view(*products.shape[:3], 3, 3, len(weight)))
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
    taps = (axis_sums(weight.flip(2, 3)) / 4).flatten(2).transpose(1, 2)  # (C_out, 9, C_in)
    maps = upsample_adjoint(x.permute(0, 2, 3, 1)).flatten(3)  # (N, H, W, 9 C_in)
    return F.linear(maps, taps.flatten(1), bias).permute(0, 3, 1, 2)


def filter_transform(weight: Tensor) -> Tensor:
    """Transform a kernel (C_out, C_in, 3, 3) to (C_out, C_in, 4, 4), G g G^T."""
    for axis in (2, 3):
        first, middle, last = weight.unbind(axis)
        outer, half = (first + last) / 2, middle / 2
        weight = torch.stack([first, outer + half, outer - half, last], axis)
    return weight


def input_transform(x: Tensor) -> Tensor:
    """Transform each 4x4 tile, B^T d B.

    Args:
        x: (N, H, W, C) with even sides.
    Returns:
        (16, N H/2 W/2, C).
    """
    maps = F.pad(x, (0, 0, 1, 1, 1, 1))
    for axis in (1, 2):
        d0, d1, d2, d3 = (maps.narrow(axis, k, maps.shape[axis] - 3) for k in range(4))
        step = (slice(None),) * axis + (slice(None, None, 2),)
        d0, d1, d2, d3 = d0[step], d1[step], d2[step], d3[step]
        maps = torch.stack([d0 - d2, d1 + d2, d2 - d1, d1 - d3], -2)
    return maps.permute(3, 4, 0, 1, 2, 5).flatten(2, 4).flatten(0, 1)


def output_transform(products: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
    """Transform the products of each tile back to 2x2 pixels, A^T m A.

    Args:
        products: (16, N H/2 W/2, C).
        shape: (N, H, W, C).
    Returns:
        (N, H, W, C).
    """
    n, height, width, channels = shape
    m = products.view(4, 4, n, height // 2, width // 2, channels)
    rows = torch.stack([m[0] + m[1] + m[2], m[1] - m[2] - m[3]])  # (2, 4, N, H/2, W/2, C)
    m0, m1, m2, m3 = rows.unbind(1)
    pixels = torch.stack([m0 + m1 + m2, m1 - m2 - m3])  # (2 across, 2 down, N, H/2, W/2, C)
    return pixels.permute(2, 3, 1, 4, 0, 5).reshape(shape)


def same_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve with the side kept.

    Args:
        x: (N, C_in, H, W) with even sides.
        weight: (C_out, C_in, 3, 3).
        bias: (C_out,) or None.
    Returns:
        (N, C_out, H, W), channels-last in memory.
    """
    n, _, height, width = x.shape
    taps = filter_transform(weight).flatten(2).permute(2, 0, 1)  # (16, C_out, C_in)
    products = input_transform(x.permute(0, 2, 3, 1)) @ taps.mT
    y = output_transform(products, (n, height, width, len(weight)))
    return (y if bias is None else y + bias).permute(0, 3, 1, 2)
