"""Which implementation of a convolution runs: asked for by name, or chosen by device and shape."""

from collections.abc import Callable
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sngan_cond.config import ConvBackend
from sngan_cond.fast import gemm_conv, native, resampling, winograd

_Map = Callable[[Tensor, Tensor, Tensor | None], Tensor]

# Measured on an AMD EPYC of 2 cores (benchmarks/README.md): below these the sums cost what the products save.
MINIMAL_CHANNELS = 32
MINIMAL_SAME_SIDE_PX = 8
STRIDED_SIDE_PX = 16
GPU_UPSAMPLE_SIDE_PX = 8  # from 4 px an H100 takes 2.3 times as long for a transposed convolution (bfloat16)


def set_backend(network: nn.Module, backend: ConvBackend) -> None:
    """Say which backend the 3x3 convolutions of a network take; they start with "auto".

    Args:
        network: where to look for layers with a `backend`, in place.
        backend: "plain" as the paper draws them; "strided" joins resampling and convolution to one 4x4 convolution of
            stride 2; "minimal" takes as few products as sums of pixels allow (9 for each small pixel where the side
            changes, 16 for four pixels where it does not); "auto" is what was measured to be fastest.
    Raises:
        ValueError: if there is no such backend.
    """
    if backend not in get_args(ConvBackend):
        raise ValueError(f"backend={backend!r}: allowed are {', '.join(get_args(ConvBackend))}")
    for module in network.modules():
        if hasattr(type(module), "backend"):
            module.backend = backend  # type: ignore[assignment]  # the layers declare it


def upsample_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, backend: ConvBackend = "auto") -> Tensor:
    """Upsample by 2 (nearest neighbour) and convolve with the side kept; equal in every backend but for rounding.

    Args:
        x: (N, C_in, H, W).
        weight: (C_out, C_in, k, k) with k 1 or 3.
        bias: (C_out,) or None.
        backend: as for `set_backend`.
    Returns:
        (N, C_out, 2H, 2W).
    """
    if backend == "auto" and x.device.type != "cpu" and x.shape[2] < GPU_UPSAMPLE_SIDE_PX and weight.shape[-1] == 3:
        backend = "plain"
    backend = _resampling_backend(x, weight, x.shape[2], backend)
    if backend == "plain":
        return resampling.plain_upsample_conv2d(x, weight, bias)
    if weight.shape[-1] == 1:
        return resampling.pointwise_upsample_conv2d(x, weight, bias)
    if backend == "strided":
        return resampling.strided_upsample_conv2d(x, weight, bias)
    return _minimal(gemm_conv.UPSAMPLE, winograd.upsample_conv2d)(x, weight, bias)


def conv_mean_pool2d(x: Tensor, weight: Tensor, bias: Tensor | None, backend: ConvBackend = "auto") -> Tensor:
    """Convolve with the side kept and average 2x2 windows; equal in every backend but for rounding.

    Args:
        x: (N, C_in, 2H, 2W).
        weight: (C_out, C_in, k, k) with k 1 or 3.
        bias: (C_out,) or None.
        backend: as for `set_backend`.
    Returns:
        (N, C_out, H, W).
    """
    backend = _resampling_backend(x, weight, x.shape[2] // 2, backend)
    if backend == "plain":
        return resampling.plain_conv_mean_pool2d(x, weight, bias)
    if weight.shape[-1] == 1:
        return resampling.pointwise_conv_mean_pool2d(x, weight, bias)
    if backend == "strided":
        return resampling.strided_conv_mean_pool2d(x, weight, bias)
    return _minimal(gemm_conv.MEAN_POOL, winograd.conv_mean_pool2d)(x, weight, bias)


def same_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, backend: ConvBackend = "auto") -> Tensor:
    """Convolve with the side kept; equal in every backend but for rounding.

    Args:
        x: (N, C_in, H, W).
        weight: (C_out, C_in, k, k) with k odd.
        bias: (C_out,) or None.
        backend: as for `set_backend`; "strided" is "plain" here.
    Returns:
        (N, C_out, H, W).
    """
    fits = weight.shape[-1] == 3 and x.shape[2] % 2 == 0 and x.shape[3] % 2 == 0
    pays = min(weight.shape[:2]) >= MINIMAL_CHANNELS and x.shape[2] >= MINIMAL_SAME_SIDE_PX
    if fits and (backend == "minimal" or (backend == "auto" and pays and _runs_native(x))):
        return _minimal(gemm_conv.WINOGRAD, winograd.same_conv2d)(x, weight, bias)
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)


def _resampling_backend(x: Tensor, weight: Tensor, small_side_px: int, backend: ConvBackend) -> ConvBackend:
    """Resolve "auto"; the answer depends on nothing that varies between runs, nor on the batch."""
    if backend != "auto":
        return backend
    if x.device.type != "cpu":
        return "strided"
    if min(weight.shape[:2]) >= MINIMAL_CHANNELS and (torch.compiler.is_compiling() or _runs_native(x)):
        return "minimal"
    return "strided" if small_side_px >= STRIDED_SIDE_PX else "plain"


def _runs_native(x: Tensor) -> bool:
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    return native.supports(dtype) and native.available()


def _minimal(scheme: gemm_conv.Scheme, in_pytorch: _Map) -> _Map:
    def convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if _runs_native(x):
            return gemm_conv.convolve(scheme, x, weight, bias)
        return in_pytorch(x, weight, bias)

    return convolve
