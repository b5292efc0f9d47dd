"""Which backend of a convolution runs: asked for by name, or chosen by device and shape."""

from collections.abc import Callable
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sngan_cond.config import ConvBackend
from sngan_cond.fast import gemm_conv, native, resampling, winograd
from sngan_cond.fast.eager import runs_eagerly

_Convolution = Callable[[Tensor, Tensor, Tensor | None], Tensor]

# Measured on an AMD EPYC of 2 cores (benchmarks/README.md): below these sizes the sums around the matrix multiplication
# cost as much as its smaller size saves.
MINIMAL_CHANNELS = 32
WINOGRAD_SIDE_PX = 8
STRIDED_SIDE_PX = 16
# On an H100 in bfloat16, the transposed convolution on 4 px takes 2.3 times as long as upsampling and convolving.
GPU_UPSAMPLE_SIDE_PX = 8


def set_backend(network: nn.Module, backend: ConvBackend) -> None:
    """Set the backend of a network's 3x3 convolutions and fused batch norms; they start with "auto".

    Args:
        network: its layers that have a `backend` are changed in place.
        backend: "plain" runs each step as the papers draw it; "strided" joins resampling and convolution to one 4x4
            convolution of stride 2; "minimal" takes the fewest multiplications, 9 for a small pixel beside a resampling
            and 16 for four outputs (Winograd) elsewhere; "auto" is what was measured to be fastest.
    Raises:
        ValueError: if there is no such backend.
    """
    if backend not in get_args(ConvBackend):
        raise ValueError(f"backend={backend!r}: allowed are {', '.join(get_args(ConvBackend))}")
    for module in network.modules():
        if hasattr(type(module), "backend"):
            module.backend = backend  # type: ignore[assignment]  # the layers declare it


def upsample_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, backend: ConvBackend = "auto") -> Tensor:
    """Upsample by 2 (nearest neighbour) and convolve with same padding; backends differ by rounding only.

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
    if weight.shape[-1] == 1:  # it commutes with resampling, so it runs at the lower resolution
        return resampling.pointwise_upsample_conv2d(x, weight, bias)
    if backend == "strided":
        return resampling.strided_upsample_conv2d(x, weight, bias)
    return _run_minimal(gemm_conv.UPSAMPLE, winograd.upsample_conv2d, x, weight, bias)


def conv_mean_pool2d(x: Tensor, weight: Tensor, bias: Tensor | None, backend: ConvBackend = "auto") -> Tensor:
    """Convolve with same padding and average 2x2 windows; backends differ by rounding only.

    Args:
        x: (N, C_in, 2H, 2W); the others as for `upsample_conv2d`.
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
    return _run_minimal(gemm_conv.MEAN_POOL, winograd.conv_mean_pool2d, x, weight, bias)


def same_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, backend: ConvBackend = "auto") -> Tensor:
    """Convolve with same padding; backends differ by rounding only.

    Args:
        x: (N, C_in, H, W).
        weight: (C_out, C_in, k, k) with k odd; the others as for `upsample_conv2d`.
        backend: "strided" is "plain" here.
    Returns:
        (N, C_out, H, W).
    """
    # Winograd's outputs are 2x2 windows: odd sides do not divide into them.
    fits = weight.shape[-1] == 3 and x.shape[2] % 2 == 0 and x.shape[3] % 2 == 0
    pays = min(weight.shape[:2]) >= MINIMAL_CHANNELS and x.shape[2] >= WINOGRAD_SIDE_PX
    if fits and (backend == "minimal" or (backend == "auto" and pays and _runs_native(x))):
        return _run_minimal(gemm_conv.WINOGRAD, winograd.same_conv2d, x, weight, bias)
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)


def _resampling_backend(x: Tensor, weight: Tensor, small_side_px: int, backend: ConvBackend) -> ConvBackend:
    """Resolve "auto" by device, shape, type and available kernels.

    Not by a measurement at run time, and not by the batch size: either would make the same latent give images that
    differ by rounding from one run or batch to the next.
    """
    if backend != "auto":
        return backend
    if x.device.type != "cpu":
        return "strided"
    # Without the native kernels the sums pay only where a compiler fuses them.
    if min(weight.shape[:2]) >= MINIMAL_CHANNELS and (torch.compiler.is_compiling() or _runs_native(x)):
        return "minimal"
    return "strided" if small_side_px >= STRIDED_SIDE_PX else "plain"


def _runs_native(x: Tensor) -> bool:
    # No tool of PyTorch sees into calls through ctypes, and an empty batch has no first image.
    if x.device.type != "cpu" or not runs_eagerly(x) or x.numel() == 0:
        return False
    # Under autocast the product runs in its type, whatever x is stored in; float16 for one has no native kernels.
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    return native.supports(dtype) and native.available()


def _run_minimal(
    scheme: gemm_conv.Scheme, in_pytorch: _Convolution, x: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """Convolve by the native kernels where these can run, else by the same algorithm in PyTorch."""
    if _runs_native(x):
        return gemm_conv.convolve(scheme, x, weight, bias)
    return in_pytorch(x, weight, bias)
