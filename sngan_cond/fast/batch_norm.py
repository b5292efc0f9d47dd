"""Batch normalisation, gain and bias of each image, and ReLU: two passes over the features forward, two backward."""

from typing import Any

import torch
from torch import Tensor, nn

from sngan_cond.config import ConvBackend
from sngan_cond.fast import native

FUSED_CHANNELS = 32  # fewer are faster in PyTorch's own passes


def runs_fused(x: Tensor, norm: nn.Module, gain: Tensor, backend: ConvBackend) -> bool:
    """Return whether the native kernels stand in for a batch norm and a ReLU on these features.

    Args:
        x: (N, C, H, W).
        norm: what would normalise; only PyTorch's own with running statistics and a fixed momentum is stood in for.
        gain: of the images.
        backend: "plain" never, "auto" where it pays, any other wherever it can.
    """
    if backend == "plain" or (backend == "auto" and x.shape[1] < FUSED_CHANNELS):
        return False
    return (
        x.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and native.supports(x.dtype)
        and gain.dtype == torch.float32
        and isinstance(norm, nn.BatchNorm2d)
        and norm.momentum is not None
        and norm.running_mean is not None
        and norm.running_mean.dtype == torch.float32
        and native.available()
    )


def batch_norm_relu(x: Tensor, norm: nn.BatchNorm2d, gain: Tensor, bias: Tensor) -> Tensor:
    """Normalise over batch and space, scale and shift each image, and cut below 0.

    Args:
        x: (N, C, H, W).
        norm: whose mode, eps, momentum and running statistics are used; statistics are float32 in every type of x.
        gain: (N, C) or (1, C) float32.
        bias: like gain.
    Returns:
        (N, C, H, W) of x's type, channels-last in memory.
    """
    features = x.permute(0, 2, 3, 1).contiguous()
    assert norm.running_mean is not None
    assert norm.running_var is not None
    if norm.training:
        with torch.no_grad():
            mean, var = _moments(features)
            count = features.numel() // features.shape[3]
            assert norm.momentum is not None
            norm.running_mean.lerp_(mean, norm.momentum)
            norm.running_var.lerp_(var * (count / max(count - 1, 1)), norm.momentum)
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.add_(1)
    else:
        mean, var = norm.running_mean, norm.running_var
    inverse = (var + norm.eps).rsqrt()
    gain, bias = (rows.expand(len(x), -1) for rows in (gain, bias))
    y: Tensor = _BatchNormReLU.apply(features, gain, bias, mean, inverse, norm.training)
    return y.permute(0, 3, 1, 2)


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and biased variance of each channel, summed about the first pixel so that nothing cancels."""
    n, height, width, channels = features.shape
    shift = features[0, 0, 0].float()
    sums, squares = (features.new_empty(n, channels, dtype=torch.float32) for _ in range(2))
    native.run("image_moments", features, features, shift, sums, squares, n, height * width, channels)
    count = n * height * width
    first = sums.sum(0, dtype=torch.float64) / count
    var = squares.sum(0, dtype=torch.float64) / count - first.square()
    return (shift + first).float(), var.clamp_(min=0).float()


class _BatchNormReLU(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gain: Tensor, bias: Tensor, mean: Tensor, inverse: Tensor, training: bool
    ) -> Tensor:
        scale = gain * inverse
        offset = bias - mean * scale
        y = torch.empty_like(x)
        native.run("scale_relu", x, x, scale, offset, y, *_pixels(x))
        ctx.training = training
        ctx.save_for_backward(x, gain, bias, mean, inverse)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, gain, bias, mean, inverse = ctx.saved_tensors
        if torch.is_grad_enabled():  # somebody differentiates this gradient
            return _differentiable_gradients(x, gain, bias, mean, inverse, grad, training=ctx.training)
        grad = grad.contiguous()
        scale = gain * inverse
        offset = bias - mean * scale
        sums, products = torch.empty_like(scale), torch.empty_like(scale)
        native.run("scale_relu_sums", x, grad, x, scale, offset, mean, sums, products, *_pixels(x))
        products.mul_(inverse)  # sums of the gradient times the normalised features
        slope, level = torch.zeros_like(mean), torch.zeros_like(mean)
        if ctx.training:
            count = x.numel() // x.shape[3]
            slope = inverse.square() * (gain * products).sum(0) / count
            level = inverse * (gain * sums).sum(0) / count
        grad_x = torch.empty_like(x)
        native.run("scale_relu_backward", x, grad, x, scale, offset, mean, slope, level, grad_x, *_pixels(x))
        return grad_x, products, sums, None, None, None


def _differentiable_gradients(
    x: Tensor, gain: Tensor, bias: Tensor, mean: Tensor, inverse: Tensor, grad: Tensor, *, training: bool
) -> tuple[Tensor | None, ...]:
    normalised = (x - mean) * inverse
    if training:
        var, mean = torch.var_mean(x, (0, 1, 2), correction=0)
        eps = inverse.pow(-2) - var.detach()
        normalised = (x - mean) * (var + eps).rsqrt()
    y = (normalised * gain[:, None, None] + bias[:, None, None]).relu()
    gradients = torch.autograd.grad(y, (x, gain, bias), grad, create_graph=True, allow_unused=True)
    return (*gradients, None, None, None)


def _pixels(x: Tensor) -> tuple[int, int, int]:
    return x.shape[0], x.shape[1] * x.shape[2], x.shape[3]
