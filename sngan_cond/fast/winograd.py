"""3x3 convolutions in fewer multiplications, in PyTorch: Winograd's, and two for convolutions beside a resampling.

**Same padding**: Winograd F(2x2, 3x3) (Lavin and Gray 2016, section 4.1), 16 multiplications for four outputs instead
of 36. On one axis, F(2, 3) makes two outputs of a 3-tap filter g from four pixels d in 4 multiplications instead of 6:

    m0 = (d0 - d2) g0                      m1 = (d1 + d2) (g0 + g1 + g2) / 2      y0 = m0 + m1 + m2
    m3 = (d1 - d3) g2                      m2 = (d2 - d1) (g0 - g1 + g2) / 2      y1 = m1 - m2 - m3

Nested on both axes it is Y = A^T [(G g G^T) * (B^T d B)] A, a product of 4x4 matrices entry by entry. Summed over input
channels, each of the 16 entries is a matrix multiplication over all tiles.

**Nearest-neighbour upsampling by 2, then 3x3**: 9 multiplications for a small pixel (four outputs) instead of 36. On
one axis a small pixel x[i] stands twice in the upsampled row, so the filter meets it with two taps added together:

    y[2i]   = w0 x[i-1] + (w1 + w2) x[i]
    y[2i+1] = (w0 + w1) x[i] + w2 x[i+1]

So each x[i] is multiplied by four sums of taps, w0, w0 + w1, w1 + w2 and w2; on two axes by 16, which is what the
strided backend does. But with s = w0 + w1 + w2 these four are w0, s - w2, s - w0 and w2: three products, P = s x,
Q = w0 x and R = w2 x, suffice, and on two axes nine:

    y[2i] = P[i] - Q[i] + Q[i-1]           y[2i+1] = P[i] - R[i] + R[i+1]

**3x3, then 2x2 mean pooling** is the adjoint, with as many: the pixels e = x[2i] and o = x[2i+1] of a row give

    2 y[i] = s (e[i] + o[i]) + w0 (o[i-1] - o[i]) + w2 (e[i+1] - e[i])

All coefficients on pixels are 1 and -1, so rounding errors stay within a small factor of the direct convolution's.
Winograd's larger tiles save more and round worse; they are not used.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# The filter transforms as matrices, for the native kernels; for two axes, the one of one axis times itself (Kronecker).
# Rows: the taps (s, w0, w2) of one axis; columns: w0, w1, w2.
# The native kernels read them by their addresses: in float32 on the CPU, whatever PyTorch's defaults are at the import.
_HERE: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}
_SUMS = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], **_HERE)
UPSAMPLE_FILTER = torch.kron(_SUMS, _SUMS)  # (9, 9)
# Columns flipped, for taps (s, w2, w0): upsample_adjoint gives e[i+1] - e[i] before o[i-1] - o[i].
MEAN_POOL_FILTER = torch.kron(_SUMS.flip(1), _SUMS.flip(1)) / 4
# G of Lavin and Gray's F(2, 3).
_G = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]], **_HERE)
WINOGRAD_FILTER = torch.kron(_G, _G)  # (16, 9)


def axis_sums(weight: Tensor) -> Tensor:
    """Replace the taps (w0, w1, w2) by (s, w0, w2) on both axes of a weight (C_out, C_in, 3, 3)."""
    for axis in (2, 3):
        first, middle, last = weight.unbind(axis)
        weight = torch.stack([first + middle + last, first, last], axis)
    return weight


def upsample_transform(maps: Tensor) -> Tensor:
    """Sum nine products of each small pixel to its four outputs.

    Args:
        maps: (N, H, W, 3, 3, C), products with the taps (s, w0, w2) of the vertical and of the horizontal axis.
    Returns:
        (N, 2H, 2W, C).
    """
    for axis in (1, 2):
        # P, Q and R. Unbinding removes the vertical taps, so in the second round axis 3 holds the horizontal ones.
        centre, first, last = maps.unbind(3)
        # Q[i-1] and R[i+1]: padding by (1, -1) shifts by one pixel, and lets 0 in and the last pixel out.
        before = (0, 0) * (maps.ndim - 2 - axis) + (1, -1)
        after = (0, 0) * (maps.ndim - 2 - axis) + (-1, 1)
        even, odd = centre - first + F.pad(first, before), centre - last + F.pad(last, after)
        maps = _joined(torch.stack([even, odd], axis + 1), axis)
    return maps


def upsample_adjoint(y: Tensor) -> Tensor:
    """Apply the adjoint of `upsample_transform`.

    Args:
        y: (N, 2H, 2W, C).
    Returns:
        (N, H, W, 3, 3, C).
    """
    for axis in (2, 1):  # horizontal first: the vertical taps are then put before these, at axis 3 too
        even, odd = (y.narrow(axis, k, y.shape[axis] - 1) for k in range(2))
        step = (slice(None),) * axis + (slice(None, None, 2),)
        even, odd = even[step], odd[step]
        after = (0, 0) * (y.ndim - 1 - axis) + (-1, 1)
        before = (0, 0) * (y.ndim - 1 - axis) + (1, -1)
        y = torch.stack([even + odd, F.pad(even, after) - even, F.pad(odd, before) - odd], 3)
    return y


def upsample_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Upsample by 2 (nearest neighbour) and convolve (C_out, C_in, 3, 3) with same padding.

    (N, C_in, H, W) to (N, C_out, 2H, 2W), channels-last in memory.
    """
    # One matrix multiplication gives the nine products of each small pixel with all filters.
    taps = axis_sums(weight).flatten(2).permute(2, 0, 1)  # (9, C_out, C_in)
    products = x.permute(0, 2, 3, 1) @ taps.flatten(0, 1).T  # (N, H, W, 9 C_out)
    y = upsample_transform(products.view(*products.shape[:3], 3, 3, len(weight)))
    return (y if bias is None else y + bias).permute(0, 3, 1, 2)


def conv_mean_pool2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve (C_out, C_in, 3, 3) with same padding and average 2x2 windows.

    (N, C_in, 2H, 2W) to (N, C_out, H, W), channels-last in memory.
    """
    # The sum over the nine taps is part of the matrix multiplication's sum over input channels.
    taps = (axis_sums(weight.flip(2, 3)) / 4).flatten(2).transpose(1, 2)  # (C_out, 9, C_in)
    maps = upsample_adjoint(x.permute(0, 2, 3, 1)).flatten(3)  # (N, H, W, 9 C_in)
    return F.linear(maps, taps.flatten(1), bias).permute(0, 3, 1, 2)


def filter_transform(weight: Tensor) -> Tensor:
    """Transform a weight (C_out, C_in, 3, 3) to (C_out, C_in, 4, 4), G g G^T."""
    for axis in (2, 3):
        first, middle, last = weight.unbind(axis)
        outer, half = (first + last) / 2, middle / 2
        weight = torch.stack([first, outer + half, outer - half, last], axis)
    return weight


def input_transform(x: Tensor) -> Tensor:
    """Transform each 4x4 tile at stride 2, B^T d B.

    Args:
        x: (N, H, W, C) with even sides.
    Returns:
        (16, N H/2 W/2, C).
    """
    # On one axis, d0 to d3 are the four pixels of all tiles at once: every second padded pixel from 0, 1, 2 and 3 on.
    maps = F.pad(x, (0, 0, 1, 1, 1, 1))
    for axis in (1, 2):
        d0, d1, d2, d3 = (maps.narrow(axis, k, maps.shape[axis] - 3) for k in range(4))
        step = (slice(None),) * axis + (slice(None, None, 2),)
        d0, d1, d2, d3 = d0[step], d1[step], d2[step], d3[step]
        maps = torch.stack([d0 - d2, d1 + d2, d2 - d1, d1 - d3], -2)
    return _planes(maps)


def output_transform(products: Tensor, shape: Sequence[int]) -> Tensor:
    """Transform the products of each tile to its 2x2 outputs, A^T m A.

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


def input_adjoint(tiles: Tensor, shape: Sequence[int]) -> Tensor:
    """Apply the adjoint of `input_transform`.

    Args:
        tiles: (16, N H/2 W/2, C).
        shape: (N, H, W, C).
    Returns:
        (N, H, W, C).
    """
    n, height, width, channels = shape
    maps = tiles.reshape(4, 4, n, height // 2, width // 2, channels).permute(2, 3, 4, 0, 1, 5)
    for axis in (2, 1):  # horizontal first: it is the last of the two that hold taps
        t0, t1, t2, t3 = maps.unbind(-2)
        # Even pixels are d1 of their own tile and d3 of the one before, odd ones d2 and, of the one after, d0.
        before = (0, 0) * (t0.ndim - 1 - axis) + (1, -1)
        after = (0, 0) * (t0.ndim - 1 - axis) + (-1, 1)
        even, odd = t1 - t2 + t3 - F.pad(t3, before), t1 + t2 - t0 + F.pad(t0, after)
        maps = _joined(torch.stack([even, odd], axis + 1), axis)
    return maps


def output_adjoint(y: Tensor) -> Tensor:
    """Apply the adjoint of `output_transform`.

    Args:
        y: (N, H, W, C) with even sides.
    Returns:
        (16, N H/2 W/2, C).
    """
    for axis in (1, 2):
        y0, y1 = (y[(slice(None),) * axis + (slice(k, None, 2),)] for k in range(2))
        y = torch.stack([y0, y0 + y1, y0 - y1, -y1], -2)
    return _planes(y)


def _planes(tiles: Tensor) -> Tensor:
    """Reorder (N, H/2, W/2, 4, 4, C) to (16, N H/2 W/2, C)."""
    return tiles.permute(3, 4, 0, 1, 2, 5).reshape(16, -1, tiles.shape[-1])


def _joined(x: Tensor, axis: int) -> Tensor:
    """Flatten an axis and the next; the batched gradients of `is_grads_batched=True` know no `Tensor.flatten`."""
    return x.reshape(*x.shape[:axis], -1, *x.shape[axis + 2 :])


def same_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve (C_out, C_in, 3, 3) with same padding.

    (N, C_in, H, W), with even sides, to (N, C_out, H, W), channels-last in memory.
    """
    n, _, height, width = x.shape
    taps = filter_transform(weight).flatten(2).permute(2, 0, 1)  # (16, C_out, C_in)
    products = input_transform(x.permute(0, 2, 3, 1)) @ taps.mT
    y = output_transform(products, (n, height, width, len(weight)))
    return (y if bias is None else y + bias).permute(0, 3, 1, 2)
