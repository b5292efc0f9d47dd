"""The passes of `batch_norm` on a CPU, by the kernels of native.cpp."""

import torch
from torch import Tensor

from sngan_cond.fast import native


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """As `batch_norm.Kernels` says, in one pass.

    One pass means var = E[(x - k)^2] - E[x - k]^2 for some k. With k = 0, the two terms agree in all their leading
    digits where the mean is many standard deviations from 0, and their difference is rounding noise. A pixel of the
    channel is a good k, being a few standard deviations from the mean at most, and the first costs nothing to find.
    """
    n, pixels, channels = _sizes(x)
    shift = x[0, 0, 0].float()
    sums, squares = (x.new_empty(n, channels, dtype=torch.float32) for _ in range(2))
    native.run("image_moments", x, x, shift, sums, squares, n, pixels, channels)
    offset = sums.sum(0, dtype=torch.float64) / (n * pixels)  # the mean, seen from k
    var = squares.sum(0, dtype=torch.float64) / (n * pixels) - offset.square()
    return (shift + offset).float(), var.clamp_(min=0).float()


def norm_relu(x: Tensor, gain: Tensor, bias: Tensor, mean: Tensor, inverse: Tensor) -> Tensor:
    """As `batch_norm.Kernels` says."""
    scale, offset = _scale_offset(gain, bias, mean, inverse)
    y = torch.empty_like(x)
    native.run("scale_relu", x, x, scale, offset, y, *_sizes(x))
    return y


def affine_gradients(grad: Tensor, x: Tensor, gain: Tensor, bias: Tensor, mean: Tensor, inverse: Tensor) -> Tensor:
    """As `batch_norm.Kernels` says."""
    scale, offset = _scale_offset(gain, bias, mean, inverse)
    gradients = scale.new_empty(2, *scale.shape)
    native.run("scale_relu_sums", x, grad, x, scale, offset, mean, gradients[0], gradients[1], *_sizes(x))
    gradients[1].mul_(inverse)  # the kernel sums g (x - mean)
    return gradients


def feature_gradient(
    grad: Tensor, x: Tensor, gain: Tensor, bias: Tensor, mean: Tensor, inverse: Tensor, slope: Tensor, level: Tensor
) -> Tensor:
    """As `batch_norm.Kernels` says."""
    scale, offset = _scale_offset(gain, bias, mean, inverse)
    grad_x = torch.empty_like(x)
    native.run("scale_relu_backward", x, grad, x, scale, offset, mean, slope, level, grad_x, *_sizes(x))
    return grad_x


def _scale_offset(gain: Tensor, bias: Tensor, mean: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
    """Return the affine map of each image and channel (N, C): gain (x - mean) inverse + bias = scale x + offset."""
    scale = gain * inverse
    return scale, bias - mean * scale


def _sizes(x: Tensor) -> tuple[int, int, int]:
    """Return images, pixels of each, and channels of (N, H, W, C)."""
    return x.shape[0], x.shape[1] * x.shape[2], x.shape[3]
