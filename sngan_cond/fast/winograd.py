"""3x3 convolution with the side kept by minimal filtering F(2x2, 3x3): 16 products for four pixels instead of 36.

Source: Lavin and Gray 2016, section 4.1. All coefficients on pixels are 1 and -1, so that rounding stays that of the
direct form within a small factor; the larger tiles of the paper, which round worse, are not used.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

# For the native kernels: G of the source for both axes.
_AXIS = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]])
TAPS = torch.kron(_AXIS, _AXIS)  # (16, 9)


def folded_taps(weight: Tensor) -> Tensor:
    """Transform a kernel (C_out, C_in, 3, 3) to (C_out, C_in, 4, 4), G g G^T."""
    for axis in (2, 3):
        first, middle, last = weight.unbind(axis)
        outer, half = (first + last) / 2, middle / 2
        weight = torch.stack([first, outer + half, outer - half, last], axis)
    return weight


def input_tiles(x: Tensor) -> Tensor:
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


def output_tiles(products: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
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
    taps = folded_taps(weight).flatten(2).permute(2, 0, 1)  # (16, C_out, C_in)
    products = input_tiles(x.permute(0, 2, 3, 1)) @ taps.mT
    y = output_tiles(products, (n, height, width, len(weight)))
    return (y if bias is None else y + bias).permute(0, 3, 1, 2)
