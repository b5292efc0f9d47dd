"""Convolutions of few channels, filled up with zeros to as many as tensor cores take at once."""

import torch
import torch.nn.functional as F
from torch import Tensor

GROUP = 8  # channels in 16 bytes of bfloat16, which cuDNN's kernels for tensor cores read at a time


def padded_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve (C_out, C_in, k, k) with same padding, with both channel counts filled up to multiples of 8.

    (N, C_in, H, W) to (N, C_out, H, W); what is added is 0, so the result is the plain one.
    """
    more_out, more_in = (-channels % GROUP for channels in weight.shape[:2])
    kind = x.device.type
    if kind != "meta" and torch.is_autocast_enabled(kind):
        x = x.to(torch.get_autocast_dtype(kind))  # before channels are added, which makes it the smaller copy
    x = _more_channels(x, more_in)
    weight = F.pad(weight, (0, 0, 0, 0, 0, more_in, 0, more_out))
    bias = None if bias is None else F.pad(bias, (0, more_out))
    # The additional channels go by a negative padding: the gradient of a slice would not be channels-last.
    return _more_channels(F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2), -more_out)


def _more_channels(x: Tensor, more: int) -> Tensor:
    return F.pad(x, (0, 0, 0, 0, 0, more)) if more else x
