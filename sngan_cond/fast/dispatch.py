"""Which form of a convolution runs: asked for by name, or chosen by device and shape."""

from collections.abc import Callable
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sngan_cond.config import ConvBackend, Switch
from sngan_cond.fast import choices, gemm_conv, native, padding, resampling, winograd
from sngan_cond.fast.eager import runs_eagerly

_Convolution = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def set_backend(network: nn.Module, backend: ConvBackend, pad_channels: Switch = "auto") -> None:
    """Set the backend of a network's 3x3 convolutions and fused batch norms; they start with "auto".

    Args:
        network: its layers that have a `backend` are changed in place.
        backend: "plain" runs each step as the papers draw it; "strided" joins resampling and convolution to one 4x4
            convolution of stride 2; "shuffled" to one 2x2 convolution of stride 1, whose channels are the pixels of 2x2
            blocks; "minimal" takes the fewest multiplications, 9 for a small pixel beside a resampling and 16 for four
            outputs (Winograd) elsewhere; "auto" is what was measured to be fastest (`sngan_cond.fast.choices`).
        pad_channels: whether convolutions between images and features take 8 channels with zeros instead of 3; "auto"
            as above.
    Raises:
        ValueError: if there is no such backend.
    """
    if backend not in get_args(ConvBackend):
        raise ValueError(f"backend={backend!r}: allowed are {', '.join(get_args(ConvBackend))}")
    if pad_channels not in (True, False, "auto"):
        raise ValueError(f"pad_channels={pad_channels!r}: allowed are True, False, auto")
    for module in network.modules():
        if hasattr(type(module), "backend"):
            module.backend = backend  # type: ignore[assignment]  # the layers declare it
        if hasattr(type(module), "pad_channels"):
            module.pad_channels = pad_channels  # type: ignore[assignment]


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
    if weight.shape[-1] == 1:
        form = _form("skip", x, weight, backend, x.shape[2])
        if form != "plain":  # it commutes with resampling, so it runs at the lower resolution
            return resampling.upsample(F.conv2d(x, weight, bias))
    else:
        form = _form("upsample", x, weight, backend, x.shape[2])
    if form == "strided":
        return resampling.strided_upsample_conv2d(x, weight, bias)
    if form == "shuffled":
        return resampling.shuffled_upsample_conv2d(x, weight, bias)
    if form == "minimal":
        return _run_minimal(gemm_conv.UPSAMPLE, winograd.upsample_conv2d, x, weight, bias)
    return resampling.plain_upsample_conv2d(x, weight, bias)


def conv_mean_pool2d(
    x: Tensor, weight: Tensor, bias: Tensor | None, backend: ConvBackend = "auto", pad_channels: Switch = "auto"
) -> Tensor:
    """Convolve with same padding and average 2x2 windows; backends differ by rounding only.

    Args:
        x: (N, C_in, 2H, 2W); the others as for `upsample_conv2d`.
        pad_channels: as for `set_backend`; of 1x1 convolutions.
    Returns:
        (N, C_out, H, W).
    """
    if weight.shape[-1] == 1:
        form = _form("skip", x, weight, backend, x.shape[2] // 2)
        if form != "plain":
            return same_conv2d(F.avg_pool2d(x, 2), weight, bias, backend, pad_channels)
    else:
        form = _form("mean_pool", x, weight, backend, x.shape[2] // 2)
    if form == "strided":
        return resampling.strided_conv_mean_pool2d(x, weight, bias)
    if form == "shuffled":
        return resampling.shuffled_conv_mean_pool2d(x, weight, bias)
    if form == "minimal":
        return _run_minimal(gemm_conv.MEAN_POOL, winograd.conv_mean_pool2d, x, weight, bias)
    return resampling.plain_conv_mean_pool2d(x, weight, bias)


def same_conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None, backend: ConvBackend = "auto", pad_channels: Switch = "auto"
) -> Tensor:
    """Convolve with same padding; backends differ by rounding only.

    Args:
        x: (N, C_in, H, W).
        weight: (C_out, C_in, k, k) with k odd; the others as for `conv_mean_pool2d`.
        backend: "strided" and "shuffled" are "plain" here.
    Returns:
        (N, C_out, H, W).
    """
    # Winograd's outputs are 2x2 windows: odd sides do not divide into them.
    fits = weight.shape[-1] == 3 and x.shape[2] % 2 == 0 and x.shape[3] % 2 == 0
    if fits and _form("same", x, weight, backend, x.shape[2]) == "minimal":
        return _run_minimal(gemm_conv.WINOGRAD, winograd.same_conv2d, x, weight, bias)
    if min(weight.shape[:2]) < padding.GROUP and _pads(x, weight, backend, pad_channels):
        return padding.padded_conv2d(x, weight, bias)
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)


def _form(layer: choices.Layer, x: Tensor, weight: Tensor, backend: ConvBackend, side_px: int) -> choices.Form:
    if backend != "auto":
        return backend
    channels = min(weight.shape[:2])

    def is_fused() -> bool:
        return _runs_native(x) or (layer != "same" and torch.compiler.is_compiling())

    return choices.choose(layer, x.device.type, channels=channels, side_px=side_px, is_fused=is_fused)


def _pads(x: Tensor, weight: Tensor, backend: ConvBackend, pad_channels: Switch) -> bool:
    if pad_channels == "auto":  # what the papers draw has 3
        return backend != "plain" and _form("image", x, weight, "auto", x.shape[2]) == "padded"
    return pad_channels


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
