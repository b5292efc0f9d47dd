"""Convolutions as sums around a matrix multiplication: tiles of x, times taps of the weight, summed to pixels.

A `Scheme` holds the three linear maps with their transposes. `convolve` saves x and the folded kernel alone and makes
the tiles again in the backward pass, whose steps are differentiable themselves (gradient penalties).
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sngan_cond.fast import native, winograd

# Images are taken in groups whose tiles and products stay near the cores: measured, benchmarks/README.md.
GROUP_BYTES = 1 << 24


class Scheme(NamedTuple):
    """One way to convolve; features are (N, H, W, C).

    Args:
        input_transform: features to (..., M, J).
        input_adjoint: its transpose, into the features given.
        output_transform: products (..., M, K) and bias, into the result given.
        output_adjoint: its transpose, without bias.
        filter_transform: (T, 9) matrix from a 3x3 kernel to its taps.
        taps_outermost: whether the taps of the folded kernel come before its rows (T, C_out, C_in) or after.
        batched: whether every tap has a matrix multiplication of its own.
        scale: side of the result over that of the features.
    """

    input_transform: Callable[[Tensor], Tensor]
    input_adjoint: Callable[[Tensor, Tensor], None]
    output_transform: Callable[[Tensor, Tensor | None, Tensor], None]
    output_adjoint: Callable[[Tensor], Tensor]
    filter_transform: Tensor
    taps_outermost: bool
    batched: bool
    scale: float


def convolve(scheme: Scheme, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve on a CPU with the native kernels.

    Args:
        scheme: how.
        x: (N, C_in, H, W).
        weight: (C_out, C_in, 3, 3).
        bias: (C_out,) or None.
    Returns:
        (N, C_out, H', W'), channels-last in memory, in autocast's type where that is on.
    """
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    features = x.to(dtype).permute(0, 2, 3, 1).contiguous()
    kernel: Tensor = _FilterTransform.apply(weight.float(), scheme, dtype)
    y: Tensor = _GemmConv.apply(scheme, features, kernel, None if bias is None else bias.float())
    return y.permute(0, 3, 1, 2)


class _LinearMap(torch.autograd.Function):
    """A linear map that knows its transpose, differentiable any number of times."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ahead: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.maps = ahead, back
        return ahead(x.contiguous())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        ahead, back = ctx.maps
        return _LinearMap.apply(grad, back, ahead), None, None


class _FilterTransform(torch.autograd.Function):
    """A weight (C_out, C_in, 3, 3) float32 to the kernel of a scheme, in the type of the products."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, scheme: Scheme, dtype: torch.dtype) -> Tensor:
        ctx.scheme, ctx.shape = scheme, weight.shape
        rows, columns, taps = weight.shape[0], weight.shape[1], len(scheme.filter_transform)
        shape = (taps, rows, columns) if scheme.taps_outermost else (rows, taps, columns)
        kernel = weight.new_empty(shape, dtype=dtype)
        native.run(
            f"fold{taps}",
            kernel,
            weight.contiguous(),
            scheme.filter_transform,
            kernel,
            rows,
            columns,
            *_strides(scheme, shape),
        )
        return kernel if scheme.batched else kernel.view(-1, columns if scheme.taps_outermost else taps * columns)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return _FilterAdjoint.apply(grad, ctx.scheme, ctx.shape), None, None


class _FilterAdjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kernel: Tensor, scheme: Scheme, weight_shape: torch.Size) -> Tensor:
        ctx.scheme, ctx.dtype = scheme, kernel.dtype
        rows, columns, taps = weight_shape[0], weight_shape[1], len(scheme.filter_transform)
        shape = (taps, rows, columns) if scheme.taps_outermost else (rows, taps, columns)
        weight = kernel.new_empty(weight_shape, dtype=torch.float32)
        native.run(
            f"fold{taps}_transposed", kernel, kernel.contiguous(), scheme.filter_transform, weight, rows, columns,
            *_strides(scheme, shape),
        )  # fmt: skip
        return weight

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return _FilterTransform.apply(grad, ctx.scheme, ctx.dtype), None, None


def _strides(scheme: Scheme, shape: tuple[int, int, int]) -> tuple[int, int]:
    """Return how far apart a kernel's taps and rows lie."""
    outer, inner = shape[1] * shape[2], shape[2]
    return (outer, inner) if scheme.taps_outermost else (inner, outer)


class _GemmConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scheme: Scheme, x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        ctx.scheme, ctx.has_bias = scheme, bias is not None
        ctx.save_for_backward(x, kernel)
        channels = kernel.shape[-2] // (
            len(scheme.filter_transform) if scheme.taps_outermost and not scheme.batched else 1
        )
        height, width = (int(side * scheme.scale) for side in x.shape[1:3])
        y = x.new_empty(len(x), height, width, channels)
        for some_x, some_y in _groups(x, y):
            scheme.output_transform(scheme.input_transform(some_x) @ kernel.mT, bias, some_y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor | None, Tensor | None, Tensor | None]:
        scheme: Scheme = ctx.scheme
        x, kernel = ctx.saved_tensors
        _, wants_x, wants_kernel, wants_bias = ctx.needs_input_grad
        grad = grad.contiguous()
        gradients = _differentiable_gradients if torch.is_grad_enabled() else _gradients
        grad_x, grad_kernel = gradients(scheme, x, kernel, grad, wants_x=wants_x, wants_kernel=wants_kernel)
        grad_bias = grad.sum((0, 1, 2), dtype=torch.float32) if ctx.has_bias and wants_bias else None
        return None, grad_x, grad_kernel, grad_bias


def _gradients(
    scheme: Scheme, x: Tensor, kernel: Tensor, grad: Tensor, *, wants_x: bool, wants_kernel: bool
) -> tuple[Tensor | None, Tensor | None]:
    grad_x = torch.empty_like(x) if wants_x else x
    grad_kernel = None
    for some_x, some_grad, some_grad_x in _groups(x, grad, grad_x):
        products = scheme.output_adjoint(some_grad)
        if wants_x:
            scheme.input_adjoint(products @ kernel, some_grad_x)
        if wants_kernel:
            part = (products.mT @ scheme.input_transform(some_x)).float()
            grad_kernel = part if grad_kernel is None else grad_kernel.add_(part)
    return grad_x if wants_x else None, None if grad_kernel is None else grad_kernel.to(kernel.dtype)


def _differentiable_gradients(
    scheme: Scheme, x: Tensor, kernel: Tensor, grad: Tensor, *, wants_x: bool, wants_kernel: bool
) -> tuple[Tensor | None, Tensor | None]:
    def output_transform(products: Tensor) -> Tensor:
        y = torch.empty_like(grad)
        scheme.output_transform(products, None, y)
        return y

    def input_adjoint(input_transform: Tensor) -> Tensor:
        features = torch.empty_like(x)
        scheme.input_adjoint(input_transform, features)
        return features

    products = _LinearMap.apply(grad, scheme.output_adjoint, output_transform)
    grad_x = _LinearMap.apply(products @ kernel, input_adjoint, scheme.input_transform) if wants_x else None
    grad_kernel = products.mT @ _LinearMap.apply(x, scheme.input_transform, input_adjoint) if wants_kernel else None
    return grad_x, grad_kernel


def _groups(x: Tensor, y: Tensor, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Cut tensors along the batch alike."""
    image = max(x[0].numel(), y[0].numel()) * x.element_size()  # tiles of one image are up to 4 times that
    size = max(GROUP_BYTES // (4 * image), 1)
    return zip(*(torch.split(tensor, size) for tensor in (x, y, *others)), strict=True)


def _flat(features: Tensor) -> Tensor:
    return features.view(-1, features.shape[3])


def _unflat(maps: Tensor, features: Tensor) -> None:
    features.view(-1, features.shape[3]).copy_(maps)


def _add_bias(products: Tensor, bias: Tensor | None, y: Tensor) -> None:
    flat = _flat(y)
    if bias is None:
        flat.copy_(products)
    else:
        torch.add(products, bias.to(products.dtype), out=flat)


def _upsample_transform(maps: Tensor, bias: Tensor | None, y: Tensor) -> None:
    n, height, width, channels = y.shape
    native.run("upsample_transform", y, maps, bias, y, n, height // 2, width // 2, channels)


def _upsample_adjoint(y: Tensor) -> Tensor:
    n, height, width, channels = y.shape
    maps = y.new_empty(n * height * width // 4, 9 * channels)
    native.run("upsample_adjoint", y, y, maps, n, height // 2, width // 2, channels)
    return maps


def _winograd_input(x: Tensor) -> Tensor:
    n, height, width, channels = x.shape
    tiles = x.new_empty(16, n * height * width // 4, channels)
    native.run("winograd_input", x, x, tiles, *x.shape)
    return tiles


def _winograd_input_adjoint(input_transform: Tensor, x: Tensor) -> None:
    native.run("winograd_input_adjoint", x, input_transform, x, *x.shape)


def _winograd_output(products: Tensor, bias: Tensor | None, y: Tensor) -> None:
    native.run("winograd_output", y, products, bias, y, *y.shape)


def _winograd_output_adjoint(y: Tensor) -> Tensor:
    n, height, width, channels = y.shape
    products = y.new_empty(16, n * height * width // 4, channels)
    native.run("winograd_output_adjoint", y, y, products, *y.shape)
    return products


UPSAMPLE = Scheme(
    input_transform=_flat,
    input_adjoint=_unflat,
    output_transform=_upsample_transform,
    output_adjoint=_upsample_adjoint,
    filter_transform=winograd.UPSAMPLE_FILTER,
    taps_outermost=True,
    batched=False,
    scale=2,
)
MEAN_POOL = Scheme(
    input_transform=_upsample_adjoint,
    input_adjoint=lambda maps, features: _upsample_transform(maps, None, features),
    output_transform=_add_bias,
    output_adjoint=_flat,
    filter_transform=winograd.MEAN_POOL_FILTER,
    taps_outermost=False,
    batched=False,
    scale=0.5,
)
WINOGRAD = Scheme(
    input_transform=_winograd_input,
    input_adjoint=_winograd_input_adjoint,
    output_transform=_winograd_output,
    output_adjoint=_winograd_output_adjoint,
    filter_transform=winograd.WINOGRAD_FILTER,
    taps_outermost=True,
    batched=True,
    scale=1,
)
