"""Batch normalisation, gain and bias of each image, and ReLU, in two passes over the features forward and two backward.

Memory traffic is what these layers cost on a CPU. Forward, the first pass sums the moments; with these, normalisation,
gain and bias are one affine map by image and channel, which the second pass applies and cuts at 0. Backward, the first
pass takes the sums that every pixel's gradient depends on, the second writes that gradient.
"""

from typing import Any

import torch
from torch import Tensor, nn

from sngan_cond.config import ConvBackend
from sngan_cond.fast import native

FUSED_CHANNELS = 32  # with fewer, PyTorch's own passes are faster: the innermost loops here run over channels


def runs_fused(x: Tensor, norm: nn.Module, gain: Tensor, backend: ConvBackend) -> bool:
    """Return whether `batch_norm_relu` may replace a batch norm and a ReLU on features (N, C, H, W).

    Args:
        norm: the module in use; only PyTorch's own, with running statistics and a fixed momentum, is replaced.
        backend: "plain" never runs fused, "auto" does where it pays, any other wherever it can.
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
    """Normalise over batch and space, scale and shift each image, and apply ReLU.

    Args:
        norm: its mode, eps, momentum and running statistics are used; statistics are float32 whatever x is.
        gain: (N, C) or (1, C) float32, as `bias` is.
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
            # Features are normalised by the variance of this batch, with 1/n; the running variance estimates that of
            # the population, with 1/(n - 1), in PyTorch as in Chainer.
            norm.running_mean.lerp_(mean, norm.momentum)
            norm.running_var.lerp_(var * (count / max(count - 1, 1)), norm.momentum)
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.add_(1)
    else:
        mean, var = norm.running_mean, norm.running_var
    inverse = (var + norm.eps).rsqrt()
    gain, bias = (affine.expand(len(x), -1) for affine in (gain, bias))
    y: Tensor = _BatchNormReLU.apply(features, gain, bias, mean, inverse, norm.training)
    return y.permute(0, 3, 1, 2)


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and biased variance of each channel, in one pass.

    One pass means var = E[(x - k)^2] - E[x - k]^2 for some k. With k = 0, the two terms agree in all their leading
    digits where the mean is many standard deviations from 0, and their difference is rounding noise. A pixel of the
    channel is a good k, being a few standard deviations from the mean at most, and the first costs nothing to find.
    """
    n, height, width, channels = features.shape
    shift = features[0, 0, 0].float()
    sums, squares = (features.new_empty(n, channels, dtype=torch.float32) for _ in range(2))
    native.run("image_moments", features, features, shift, sums, squares, n, height * width, channels)
    count = n * height * width
    offset = sums.sum(0, dtype=torch.float64) / count  # the mean, seen from k
    var = squares.sum(0, dtype=torch.float64) / count - offset.square()
    return (shift + offset).float(), var.clamp_(min=0).float()


class _BatchNormReLU(torch.autograd.Function):
    """relu(gain (x - mean) inverse + bias) of features (N, H, W, C), with inverse = 1/sqrt(var + eps).

    Only x is saved of all that has its size: what the ReLU let through is computed again from it.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gain: Tensor, bias: Tensor, mean: Tensor, inverse: Tensor, training: bool
    ) -> Tensor:
        scale = gain * inverse  # (N, C); with it, gain (x - mean) inverse + bias = scale x + offset
        offset = bias - mean * scale
        y = torch.empty_like(x)
        native.run("scale_relu", x, x, scale, offset, y, *_pixels(x))
        ctx.training = training
        ctx.save_for_backward(x, gain, bias, mean, inverse)
        return y

    # For one channel, with mean mu, r = 1/sqrt(var + eps), z = (x - mu) r, and gain a_n and bias b_n of image n:
    #
    #     y = relu(a_n z + b_n)        g = dL/dy where a_n z + b_n > 0, else 0
    #     dL/db_n = sum_p g            dL/da_n = sum_p g z        (over the pixels p of image n)
    #     dL/dz = a_n g
    #
    # In eval mode mu and r are constants, and dL/dx = r dL/dz. In training both depend on all m = N H W pixels of the
    # channel, which takes out of dL/dz its mean and its component along z:
    #
    #     dL/dx = r (a_n g - mean(a g) - z mean(a g z)) = g a_n r - (x - mu) slope - level
    #     slope = r^2 sum_n a_n dL/da_n / m        level = r sum_n a_n dL/db_n / m
    #
    # The gradients of gain and bias are therefore all the sums there are to take, and the first pass takes them.
    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, gain, bias, mean, inverse = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph=True: a gradient penalty will differentiate this gradient
            return _differentiable_gradients(x, gain, bias, mean, inverse, grad, training=ctx.training)
        grad = grad.contiguous()
        scale = gain * inverse
        offset = bias - mean * scale
        sums, products = torch.empty_like(scale), torch.empty_like(scale)
        native.run("scale_relu_sums", x, grad, x, scale, offset, mean, sums, products, *_pixels(x))
        products.mul_(inverse)  # the kernel sums g (x - mu); times r that is sum_p g z
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
    """Return what `_BatchNormReLU.backward` does, by PyTorch's own operations, which autograd records."""
    normalised = (x - mean) * inverse
    if training:
        # The saved moments are constants to autograd, so they are made again as functions of x. The var + eps of the
        # forward pass is kept to the digit: eps is what the saved inverse lacks to the new variance.
        var, mean = torch.var_mean(x, (0, 1, 2), correction=0)
        eps = inverse.pow(-2) - var.detach()
        normalised = (x - mean) * (var + eps).rsqrt()
    y = (normalised * gain[:, None, None] + bias[:, None, None]).relu()
    gradients = torch.autograd.grad(y, (x, gain, bias), grad, create_graph=True, allow_unused=True)
    return (*gradients, None, None, None)


def _pixels(x: Tensor) -> tuple[int, int, int]:
    """Return images, pixels of each, and channels of (N, H, W, C)."""
    return x.shape[0], x.shape[1] * x.shape[2], x.shape[3]
