"""Convolutions joined with nearest-neighbour upsampling or 2x2 mean pooling: as written in the papers, and in fewer
multiplications.

Both resamplings are linear, so each joins the convolution beside it exactly:

- A 3x3 kernel on an upsampled image meets each small pixel through 2x2 copies of it. Summing the kernel over those 2x2
  windows gives a 4x4 kernel, and the pair becomes one transposed convolution of stride 2: 16 multiplications for a
  small pixel instead of 36. Mean pooling after a convolution is the adjoint: the same 4x4 kernel over 4, with stride 2.
- A stride of 2 is a 2x2 convolution of stride 1 in disguise, in four times the channels: the four pixels of each 2x2
  block, side by side (shuffled). As many multiplications, in the regular pattern that GPUs like best, and two copies.
- A 1x1 convolution commutes with both, so it runs at the small side: 1 multiplication instead of 4.
"""

from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor


def upsample(x: Tensor) -> Tensor:
    """Upsample by 2 (nearest neighbour): (N, C, H, W) to (N, C, 2H, 2W)."""
    # On a GPU autocast would turn to float32 what is only copied, and with it all that is added to it.
    kind = x.device.type
    with nullcontext() if kind in ("cpu", "meta") else torch.autocast(kind, enabled=False):
        return F.interpolate(x, scale_factor=2.0, mode="nearest")


def plain_upsample_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Upsample by 2, then convolve (C_out, C_in, k, k): (N, C_in, H, W) to (N, C_out, 2H, 2W)."""
    return F.conv2d(upsample(x), weight, bias, padding=weight.shape[-1] // 2)


def plain_conv_mean_pool2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve (C_out, C_in, k, k), then average 2x2 windows: (N, C_in, 2H, 2W) to (N, C_out, H, W)."""
    return F.avg_pool2d(F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2), 2)


def strided_upsample_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Upsample by 2 and convolve (C_out, C_in, 3, 3) as one 4x4 transposed convolution of stride 2.

    (N, C_in, H, W) to (N, C_out, 2H, 2W).
    """
    kernel = _laid_out_like(weight, transposed_kernel(weight))
    return F.conv_transpose2d(x, kernel, bias, stride=2, padding=1)


def transposed_kernel(weight: Tensor) -> Tensor:
    """Join nearest-neighbour upsampling by 2 and a kernel (C_out, C_in, 3, 3) to one of a transposed convolution.

    Returns:
        (C_in, C_out, 4, 4), for stride 2 and padding 1.
    """
    # A transposed convolution correlates with the flipped kernel and has its channel axes the other way round.
    return 4 * window_means(weight).flip(2, 3).transpose(0, 1)


def strided_conv_mean_pool2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve (C_out, C_in, 3, 3) and average 2x2 windows as one 4x4 convolution of stride 2.

    (N, C_in, 2H, 2W) to (N, C_out, H, W).
    """
    return F.conv2d(x, window_means(weight), bias, stride=2, padding=1)


def shuffled_upsample_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Upsample by 2 and convolve (C_out, C_in, 3, 3) as one 2x2 convolution to 4 C_out channels and a pixel shuffle.

    (N, C_in, H, W) to (N, C_out, 2H, 2W), channels-last in memory.
    """
    # On one axis, outputs 2h and 2h + 1 of the 4-tap kernel f, padded by 1, are
    #
    #     y[2h] = f0 x[h-1] + f2 x[h]        y[2h+1] = f1 x[h] + f3 x[h+1]
    #
    # so at position j of H + 1 the taps (f1, f3) make y[2j-1] and the taps (f0, f2) make y[2j]: shuffled in this order
    # they are y with one more pixel at both ends.
    phases = _blocks(4 * window_means(weight).permute(0, 2, 3, 1))  # (C_out, tap, tap, phase, phase, C_in)
    kernel = phases.permute(3, 4, 0, 1, 2, 5).flip(0, 1).flatten(0, 2).permute(0, 3, 1, 2)  # (4 C_out, C_in, 2, 2)
    bias = None if bias is None else bias.repeat(4)
    y = F.conv2d(x, kernel, bias, padding=1).permute(0, 2, 3, 1)  # (N, H + 1, W + 1, 4 C_out)
    y = torch.unflatten(y, 3, (2, 2, -1)).transpose(2, 3).flatten(3, 4).flatten(1, 2)  # (N, 2H + 2, 2W + 2, C_out)
    return y[:, 1:-1, 1:-1].contiguous().permute(0, 3, 1, 2)


def shuffled_conv_mean_pool2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve (C_out, C_in, 3, 3) and average 2x2 windows as one 2x2 convolution of 2x2 blocks side by side.

    (N, C_in, 2H, 2W) to (N, C_out, H, W).
    """
    taps = _blocks(window_means(weight).permute(0, 2, 3, 1))  # (C_out, 2, 2, 2, 2, C_in)
    blocks = _blocks(F.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1))  # (N, H + 1, W + 1, 2, 2, C_in)
    blocks, kernel = (t.flatten(3).permute(0, 3, 1, 2) for t in (blocks, taps))  # 4 C_in channels
    return F.conv2d(blocks, kernel, bias)


def window_means(weight: Tensor) -> Tensor:
    """Average a 3x3 kernel, with zeros around it, over all 2x2 windows that touch it.

    Args:
        weight: (C_out, C_in, 3, 3), already normalised where it is constrained.
    Returns:
        (C_out, C_in, 4, 4), laid out as the weight is; so is the weight's gradient.
    """
    # Sums, by `divisor_override=1`, would save a multiplication, but the average pooling of ONNX cannot take them. Nor
    # does the pooling pad: on CUDA its gradient of channels-last memory is then wrong before PyTorch's pull request
    # 188345, 2.11 included (by two thirds, on an H100).
    return F.avg_pool2d(F.pad(weight, (1, 1, 1, 1)), 2, stride=1)


def _blocks(x: Tensor) -> Tensor:
    """Cut (N, 2H, 2W, C) into 2x2 blocks: (N, H, W, 2, 2, C)."""
    return torch.unflatten(torch.unflatten(x, 2, (-1, 2)), 1, (-1, 2)).transpose(2, 3)


def _laid_out_like(weight: Tensor, kernel: Tensor) -> Tensor:
    """Return a kernel channels-last in memory if the weight is, once, where cuDNN would copy it in every pass."""
    channels_last = weight.is_contiguous(memory_format=torch.channels_last)
    return kernel.contiguous(memory_format=torch.channels_last) if channels_last else kernel
