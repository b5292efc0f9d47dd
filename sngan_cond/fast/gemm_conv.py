"""3x3 convolutions as matrix multiplications with cheap sums before and after, on a CPU.

Each fast algorithm here is three linear maps around one matrix multiplication (GEMM):

    tiles    = input_transform(x)           a few additions a pixel
    kernel   = filter_transform(weight)     once a call
    products = tiles @ kernel.T             all multiplications, and the sum over input channels
    y        = output_transform(products)   a few additions a pixel

The first two move the convolution into a domain where it multiplies numbers pairwise, the last one comes back.
`Scheme` names the maps; `winograd` derives them.
"""

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from sngan_cond.fast import native, winograd
from sngan_cond.fast.eager import runs_eagerly
from sngan_cond.fast.matmul import multiply

# A group's tiles and products are read again right after they were written, so a group should not outgrow the outer
# caches; nor be so small that the GEMM is a thin one. Measured: benchmarks/README.md.
GROUP_BYTES = 1 << 24

TapAxis = Literal["batch", "output", "inner"]
_Map = Callable[[Tensor], Tensor]


class _Linear(NamedTuple):
    """A linear map in both of its forms: by a native kernel, and as PyTorch's tools need it."""

    native: _Map
    in_pytorch: _Map


class InPyTorch(NamedTuple):
    """A scheme's transforms for gradients that a tool of PyTorch records or transforms; shapes are the results'."""

    input_transform: _Map
    input_adjoint: Callable[[Tensor, torch.Size], Tensor]
    output_transform: Callable[[Tensor, torch.Size], Tensor]
    output_adjoint: _Map


class Scheme(NamedTuple):
    """One way to convolve. Features are (N, H, W, C); M tiles of T taps each cover them.

    All maps are linear, so their adjoints (transposes) are all that the backward pass needs.

    Args:
        input_transform: features to tiles.
        input_adjoint: its adjoint; writes into the features given.
        output_transform: products and bias to features; writes into the features given.
        output_adjoint: its adjoint, without the bias.
        filter_transform: (T, 9) matrix from the 9 numbers of a 3x3 filter to its taps.
        taps_along: which dimension of the GEMM the taps extend, and so the kernel's shape.
            "batch": one GEMM a tap, (T, M, C_in) by (T, C_out, C_in), for taps that multiply different tiles.
            "output": (M, C_in) by (T C_out, C_in), for taps that all multiply the same pixel.
            "inner": (M, T C_in) by (C_out, T C_in), for taps whose products are only ever added up.
        scale: side of the result over that of the features.
        in_pytorch: the transforms once more.
    """

    input_transform: _Map
    input_adjoint: Callable[[Tensor, Tensor], None]
    output_transform: Callable[[Tensor, Tensor | None, Tensor], None]
    output_adjoint: _Map
    filter_transform: Tensor
    taps_along: TapAxis
    scale: float
    in_pytorch: InPyTorch


def convolve(scheme: Scheme, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve with the native kernels.

    Args:
        scheme: one of `UPSAMPLE`, `MEAN_POOL` and `WINOGRAD`; the others as for `dispatch.upsample_conv2d`.
    Returns:
        (N, C_out, H', W'), channels-last in memory, in autocast's type where that is on.
    """
    # Autocast lists PyTorch's own operators and knows nothing of these kernels, so its cast is made here. Weight and
    # bias stay float32: the taps are summed from the full weight and rounded once.
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    features = x.to(dtype).permute(0, 2, 3, 1).contiguous()
    kernel = _mapped(weight.float(), *_filter_maps(scheme, weight.shape, dtype))
    y: Tensor = _GemmConv.apply(scheme, features, kernel, None if bias is None else bias.float())
    return y.permute(0, 3, 1, 2)


def _filter_maps(scheme: Scheme, weight_shape: torch.Size, dtype: torch.dtype) -> tuple[_Linear, _Linear]:
    """Return the map from a float32 weight (C_out, C_in, 3, 3) to a scheme's kernel of a type, and its adjoint."""
    c_out, c_in, taps = weight_shape[0], weight_shape[1], len(scheme.filter_transform)
    # The shape of the kernel, its three dimensions, and how many numbers apart two taps, and two output channels, lie.
    shape, sizes, strides = {
        "batch": ((taps, c_out, c_in), (taps, c_out, c_in), (c_out * c_in, c_in)),
        "output": ((taps * c_out, c_in), (taps, c_out, c_in), (c_out * c_in, c_in)),
        "inner": ((c_out, taps * c_in), (c_out, taps, c_in), (c_in, taps * c_in)),
    }[scheme.taps_along]

    def transform(weight: Tensor) -> Tensor:
        kernel = weight.new_empty(shape, dtype=dtype)
        native.run(f"filter_transform{taps}", kernel, weight, scheme.filter_transform, kernel, c_out, c_in, *strides)
        return kernel

    def adjoint(kernel: Tensor) -> Tensor:
        weight = kernel.new_empty(weight_shape, dtype=torch.float32)
        native.run(f"filter_adjoint{taps}", kernel, kernel, scheme.filter_transform, weight, c_out, c_in, *strides)
        return weight

    def outputs_first(kernel: Tensor) -> Tensor:  # and the other way round
        return kernel if scheme.taps_along == "inner" else kernel.transpose(0, 1)

    def transform_in_pytorch(weight: Tensor) -> Tensor:
        return outputs_first(scheme.filter_transform @ weight.reshape(c_out, c_in, 9).mT).reshape(shape).to(dtype)

    def adjoint_in_pytorch(kernel: Tensor) -> Tensor:
        folded = outputs_first(kernel.float().reshape(sizes))  # (C_out, T, C_in)
        return (scheme.filter_transform.mT @ folded).mT.reshape(weight_shape)

    return _Linear(transform, transform_in_pytorch), _Linear(adjoint, adjoint_in_pytorch)


def _mapped(x: Tensor, ahead: _Linear, adjoint: _Linear) -> Tensor:
    """Apply a linear map given with its adjoint; differentiable any number of times."""
    if not runs_eagerly(x):
        return ahead.in_pytorch(x)
    y: Tensor = _LinearMap.apply(x, ahead, adjoint)
    return y


class _LinearMap(torch.autograd.Function):
    """A linear map by its native kernel; it and its adjoint are each other's derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ahead: _Linear, adjoint: _Linear) -> Tensor:
        ctx.maps = ahead, adjoint
        return ahead.native(x.contiguous())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        ahead, adjoint = ctx.maps
        return _mapped(grad, adjoint, ahead), None, None


class _GemmConv(torch.autograd.Function):
    """Features (N, H, W, C_in) and a kernel to (N, H', W', C_out).

    Only the features and the kernel are saved. Tiles take 4 (Winograd) or 9/4 (mean pooling) times the memory of the
    features, for every layer until its backward pass; computing them again is a linear pass beside three GEMMs.
    """

    @staticmethod
    def forward(ctx: Any, scheme: Scheme, x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        ctx.scheme, ctx.has_bias = scheme, bias is not None
        ctx.save_for_backward(x, kernel)
        c_out = kernel.shape[-2]
        if scheme.taps_along == "output":
            c_out //= len(scheme.filter_transform)
        height, width = (int(side * scheme.scale) for side in x.shape[1:3])
        y = x.new_empty(len(x), height, width, c_out)
        for some_x, some_y in _groups(x, y):
            scheme.output_transform(multiply(scheme.input_transform(some_x), kernel.mT), bias, some_y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor | None, Tensor | None, Tensor | None]:
        scheme: Scheme = ctx.scheme
        x, kernel = ctx.saved_tensors
        _, wants_x, wants_kernel, wants_bias = ctx.needs_input_grad
        grad = grad.contiguous()
        # Gradients are enabled here only under create_graph=True: a gradient penalty will differentiate this gradient.
        visible = torch.is_grad_enabled() or not runs_eagerly(grad, x, kernel)
        gradients = _visible_gradients if visible else _gradients
        grad_x, grad_kernel = gradients(scheme, x, kernel, grad, wants_x=wants_x, wants_kernel=wants_kernel)
        grad_bias = grad.sum((0, 1, 2), dtype=torch.float32) if ctx.has_bias and wants_bias else None
        return None, grad_x, grad_kernel, grad_bias


def _gradients(
    scheme: Scheme, x: Tensor, kernel: Tensor, grad: Tensor, *, wants_x: bool, wants_kernel: bool
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients of features and kernel, each None where it is not wanted.

    With I and O for the linear input and output transforms, y = O(I(x) K^T) has

        dL/dproducts = O^T dL/dy,   dL/dx = I^T (dL/dproducts K),   dL/dK = dL/dproducts^T I(x).
    """
    grad_x = torch.empty_like(x) if wants_x else x  # x only keeps the groups below alike, and is not written to
    grad_kernel = None
    for some_x, some_grad, some_grad_x in _groups(x, grad, grad_x):
        grad_products = scheme.output_adjoint(some_grad)
        if wants_x:
            scheme.input_adjoint(multiply(grad_products, kernel), some_grad_x)
        if wants_kernel:
            # In float32 across the groups: in bfloat16 each further group would add a rounding of the whole sum.
            part = multiply(grad_products.mT, scheme.input_transform(some_x)).float()
            grad_kernel = part if grad_kernel is None else grad_kernel.add_(part)
    return grad_x if wants_x else None, None if grad_kernel is None else grad_kernel.to(kernel.dtype)


def _visible_gradients(
    scheme: Scheme, x: Tensor, kernel: Tensor, grad: Tensor, *, wants_x: bool, wants_kernel: bool
) -> tuple[Tensor | None, Tensor | None]:
    """Return what `_gradients` does, as operations that autograd records and PyTorch's tools transform.

    Autograd does not see into the native kernels, so each is wrapped with its adjoint as its derivative. There are no
    groups here: they write into parts of a given tensor, and every such write would be a node of the graph.
    """
    x_shape, y_shape, plain = x.shape, grad.shape, scheme.in_pytorch

    def output_transform(products: Tensor) -> Tensor:
        y = products.new_empty(y_shape)
        scheme.output_transform(products, None, y)
        return y

    def input_adjoint(tiles: Tensor) -> Tensor:
        features = tiles.new_empty(x_shape)
        scheme.input_adjoint(tiles, features)
        return features

    to_tiles = _Linear(scheme.input_transform, plain.input_transform)
    from_tiles = _Linear(input_adjoint, lambda tiles: plain.input_adjoint(tiles, x_shape))
    from_products = _Linear(output_transform, lambda products: plain.output_transform(products, y_shape))
    to_products = _Linear(scheme.output_adjoint, plain.output_adjoint)
    grad_products = _mapped(grad, to_products, from_products)
    grad_x = grad_kernel = None
    if wants_x:
        grad_x = _mapped(multiply(grad_products, kernel), from_tiles, to_tiles)
    if wants_kernel:
        grad_kernel = multiply(grad_products.mT, _mapped(x, to_tiles, from_tiles))
    return grad_x, grad_kernel


def _groups(x: Tensor, y: Tensor, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Split tensors alike along the batch, into groups of images whose tiles take about `GROUP_BYTES`."""
    image_bytes = max(x[0].numel(), y[0].numel()) * x.element_size()
    size = max(GROUP_BYTES // (4 * image_bytes), 1)  # tiles and products are up to 4 times as large as the features
    return zip(*(torch.split(tensor, size) for tensor in (x, y, *others)), strict=True)


# The transforms of the schemes. Those that write into a tensor write into one image group's slice of the result, which
# saves a copy of everything.


def _pixel_matrix(features: Tensor) -> Tensor:
    """See features (N, H, W, C) as a matrix (N H W, C): the identity, where a scheme needs no input transform."""
    return features.view(-1, features.shape[3])


def _copy_pixels(matrix: Tensor, features: Tensor) -> None:
    _pixel_matrix(features).copy_(matrix)


def _add_bias(products: Tensor, bias: Tensor | None, y: Tensor) -> None:
    if bias is None:
        _copy_pixels(products, y)
    else:
        torch.add(products, bias.to(products.dtype), out=_pixel_matrix(y))


def _upsample_transform(maps: Tensor, bias: Tensor | None, y: Tensor) -> None:
    n, height, width, channels = y.shape
    native.run("upsample_transform", y, maps, bias, y, n, height // 2, width // 2, channels)


def _upsample_adjoint(y: Tensor) -> Tensor:
    n, height, width, channels = y.shape
    maps = y.new_empty(n * height * width // 4, 9 * channels)
    native.run("upsample_adjoint", y, y, maps, n, height // 2, width // 2, channels)
    return maps


def _tiles(kernel: str, features: Tensor) -> Tensor:
    """Run a native kernel from features (N, H, W, C) to 16 planes (N H/2 W/2, C)."""
    n, height, width, channels = features.shape
    tiles = features.new_empty(16, n * height * width // 4, channels)
    native.run(kernel, features, features, tiles, *features.shape)
    return tiles


def _nine_products(maps: Tensor, shape: torch.Size) -> Tensor:
    """Do in PyTorch what `_upsample_transform` does without a bias; `shape` is (N, 2H, 2W, C)."""
    n, height, width, channels = shape
    return winograd.upsample_transform(maps.reshape(n, height // 2, width // 2, 3, 3, channels))


def _nine_products_adjoint(y: Tensor) -> Tensor:
    return winograd.upsample_adjoint(y).reshape(-1, 9 * y.shape[3])


def _pixels(features: Tensor) -> Tensor:
    return features.reshape(-1, features.shape[3])


UPSAMPLE = Scheme(
    input_transform=_pixel_matrix,
    input_adjoint=_copy_pixels,
    output_transform=_upsample_transform,
    output_adjoint=_upsample_adjoint,
    filter_transform=winograd.UPSAMPLE_FILTER,
    taps_along="output",
    scale=2,
    in_pytorch=InPyTorch(_pixels, torch.reshape, _nine_products, _nine_products_adjoint),
)
# The adjoint of upsampling and convolving is convolving with the flipped filter and summing 2x2 windows. So mean
# pooling takes the transforms of upsampling the other way round; its filter transform flips back and divides by 4.
MEAN_POOL = Scheme(
    input_transform=_upsample_adjoint,
    input_adjoint=lambda tiles, x: _upsample_transform(tiles, None, x),
    output_transform=_add_bias,
    output_adjoint=_pixel_matrix,
    filter_transform=winograd.MEAN_POOL_FILTER,
    taps_along="inner",
    scale=0.5,
    in_pytorch=InPyTorch(_nine_products_adjoint, _nine_products, torch.reshape, _pixels),
)
WINOGRAD = Scheme(
    input_transform=lambda x: _tiles("winograd_input", x),
    input_adjoint=lambda tiles, x: native.run("winograd_input_adjoint", x, tiles, x, *x.shape),
    output_transform=lambda products, bias, y: native.run("winograd_output", y, products, bias, y, *y.shape),
    output_adjoint=lambda y: _tiles("winograd_output_adjoint", y),
    filter_transform=winograd.WINOGRAD_FILTER,
    taps_along="batch",
    scale=1,
    in_pytorch=InPyTorch(
        winograd.input_transform, winograd.input_adjoint, winograd.output_transform, winograd.output_adjoint
    ),
)
