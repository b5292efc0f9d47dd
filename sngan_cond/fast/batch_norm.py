"""Batch normalisation, gain and bias of each image, and ReLU, in two passes over the features forward and two backward.

Memory traffic is what these layers cost. Forward, the first pass sums the moments; with these, normalisation, gain
and bias are one affine map by image and channel, which the second pass applies and cuts at 0. Backward, the first pass
takes the sums that every pixel's gradient depends on, the second writes that gradient. The passes are kernels, in C++
on a CPU and in Triton on a GPU.
"""

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sngan_cond.config import ConvBackend
from sngan_cond.fast import batch_norm_native, native
from sngan_cond.fast.eager import has_triton, runs_eagerly

FUSED_CHANNELS = 32  # with fewer, PyTorch's own passes are faster on a CPU: the innermost loops there run over channels
GPU_TYPES = (torch.float32, torch.bfloat16, torch.float16)


class Kernels(Protocol):
    """The passes over features (N, H, W, C), contiguous, on one kind of device.

    `gain` and `bias` are (N, C), with a stride of 0 along N where all images have the same; `mean` and `inverse`, which
    is 1/std, are (C,). All of these are float32, and every sum is taken in float32 at least.
    """

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and biased variance (C,), exact to rounding however many deviations the mean is from 0."""

    def norm_relu(self, x: Tensor, gain: Tensor, bias: Tensor, mean: Tensor, inverse: Tensor) -> Tensor:
        """Return relu(gain z + bias) with z = (x - mean) inverse, in x's type."""

    def affine_gradients(
        self, grad: Tensor, x: Tensor, gain: Tensor, bias: Tensor, mean: Tensor, inverse: Tensor
    ) -> Tensor:
        """Return dL/dbias = sum_p g and dL/dgain = sum_p g z (2, N, C); g is `grad` where the ReLU passed, else 0."""

    def feature_gradient(
        self,
        grad: Tensor,
        x: Tensor,
        gain: Tensor,
        bias: Tensor,
        mean: Tensor,
        inverse: Tensor,
        slope: Tensor,
        level: Tensor,
    ) -> Tensor:
        """Return g gain inverse - (x - mean) slope - level in x's type, with `slope` and `level` (C,)."""


def runs_fused(x: Tensor, norm: nn.Module, gain: Tensor, bias: Tensor, backend: ConvBackend) -> bool:
    """Return whether `batch_norm_relu` may replace a batch norm and a ReLU on features (N, C, H, W).

    Args:
        norm: the module in use; only PyTorch's own, with running statistics and a fixed momentum, is replaced.
        backend: "plain" never runs fused, "auto" does where it pays, any other wherever it can.
    """
    return (
        backend != "plain"
        and runs_eagerly(x, gain, bias)
        and _kernels_exist(x, backend)
        and gain.dtype == bias.dtype == torch.float32
        and isinstance(norm, nn.BatchNorm2d)
        and norm.momentum is not None
        and norm.track_running_stats
        and norm.running_mean is not None
        and norm.running_mean.dtype == torch.float32
        # Of one value a channel there is no variance; PyTorch refuses that, and knows what an empty batch gives.
        and x.numel() > x.shape[1]
    )


def _kernels_exist(x: Tensor, backend: ConvBackend) -> bool:
    if x.device.type == "cuda":
        return x.dtype in GPU_TYPES and has_triton()
    wide = backend != "auto" or x.shape[1] >= FUSED_CHANNELS
    return x.device.type == "cpu" and wide and native.supports(x.dtype) and native.available()


def _kernels(device: torch.device) -> Kernels:
    if device.type == "cpu":
        return batch_norm_native
    from sngan_cond.fast import batch_norm_triton

    return batch_norm_triton


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
            mean, var = _kernels(x.device).moments(features)
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
    gain, bias = (affine.contiguous().expand(len(x), -1) for affine in (gain, bias))
    y: Tensor = _BatchNormReLU.apply(features, gain, bias, mean, inverse, norm.training)
    return y.permute(0, 3, 1, 2)


class _BatchNormReLU(torch.autograd.Function):
    """relu(gain (x - mean) inverse + bias) of features (N, H, W, C), with inverse = 1/sqrt(var + eps).

    Only x is saved of all that has its size: what the ReLU let through is computed again from it.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gain: Tensor, bias: Tensor, mean: Tensor, inverse: Tensor, training: bool
    ) -> Tensor:
        ctx.training = training
        ctx.save_for_backward(x, gain, bias, mean, inverse)
        return _kernels(x.device).norm_relu(x, gain, bias, mean, inverse)

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
        # Grad mode is on under create_graph=True: a gradient penalty will differentiate this gradient.
        if torch.is_grad_enabled() or not runs_eagerly(grad, x):
            return _plain_gradients(ctx, (x, gain, bias, mean, inverse), grad)
        kernels = _kernels(x.device)
        grad = grad.contiguous()
        affine = kernels.affine_gradients(grad, x, gain, bias, mean, inverse)
        grad_x = None
        if ctx.needs_input_grad[0]:
            level, slope = torch.zeros_like(mean), torch.zeros_like(mean)
            if ctx.training:
                level, slope = (affine * gain).sum(1) * (inverse / (x.numel() // x.shape[3]))  # (2, C)
                slope = slope * inverse
            grad_x = kernels.feature_gradient(grad, x, gain, bias, mean, inverse, slope, level)
        return grad_x, affine[1], affine[0], None, None, None


def _plain_gradients(ctx: Any, saved: tuple[Tensor, ...], grad: Tensor) -> tuple[Tensor | None, ...]:
    """Return what `_BatchNormReLU.backward` does, by PyTorch's own operations, which its tools record.

    Args:
        saved: `ctx.saved_tensors`, which a checkpoint lets be read once.
        grad: dL/dy.
    """
    x, gain, bias, mean, inverse = saved
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        normalised = (x - mean) * inverse
        if ctx.training:
            # The saved moments are constants to autograd, so they are made again as functions of x. The var + eps of
            # the forward pass is kept to the digit: eps is what the saved inverse lacks to the new variance.
            var, mean = torch.var_mean(x.float(), (0, 1, 2), correction=0)
            eps = inverse.pow(-2) - var.detach()
            normalised = (x - mean) * (var + eps).rsqrt()
        y = (normalised * gain[:, None, None] + bias[:, None, None]).relu()
    wanted = [t for t, needed in zip((x, gain, bias), ctx.needs_input_grad, strict=False) if needed]
    found = iter(torch.autograd.grad(y, wanted, grad.to(y.dtype), create_graph=create_graph))
    return (*(next(found) if needed else None for needed in ctx.needs_input_grad[:3]), None, None, None)
