"""A 1x1 convolution commutes with both changes of side, so skips run at the small one."""

import torch.nn.functional as F
from torch import Tensor


def upsample_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve (C_out, C_in, 1, 1), then upsample by 2: (N, C_in, H, W) to (N, C_out, 2H, 2W)."""
    return F.interpolate(F.conv2d(x, weight, bias), scale_factor=2.0, mode="nearest")


def conv_mean_pool2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Average 2x2 windows, then convolve (C_out, C_in, 1, 1): (N, C_in, 2H, 2W) to (N, C_out, H, W)."""
    return F.conv2d(F.avg_pool2d(x, 2), weight, bias)
