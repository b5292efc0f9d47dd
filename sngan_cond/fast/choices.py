"""Which form of a convolution runs under "auto": by device and shape, each with what says so.

It is never decided by a measurement at run time, nor by the batch size: either would make the same latent give images
that differ by rounding from one run or batch to the next. Nor by the type: what a GPU said, it said in bfloat16, and
float32 follows it unmeasured.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

# "skip": a 1x1 convolution beside a resampling; "image": one of fewer than 8 channels to or from images.
Layer = Literal["upsample", "mean_pool", "skip", "same", "image"]
Form = Literal["plain", "strided", "shuffled", "minimal", "pointwise", "padded"]


class Choice(NamedTuple):
    """A form, where it is chosen, and why.

    Args:
        form: a backend of `dispatch.set_backend`; "pointwise" is a 1x1 convolution at the lower resolution, "padded"
            has its channels filled up to 8.
        source: what was measured, when and on what; milliseconds are of forward and backward passes.
        channels: fewest channels, of inputs and of outputs.
        side_px: least height, at the lower resolution where the layer resamples.
        is_fused: whether it takes native kernels or a compiler to make the sums around the products cheap.
    """

    form: Form
    source: str
    channels: int = 0
    side_px: int = 0
    is_fused: bool = False


_EPYC = "AMD EPYC, 2 cores, AVX2 (benchmarks/README.md)"
_ZEN5 = "AMD EPYC of family 26, one core, float32, 2026-11-26 (benchmarks/README.md)"
_NARROW = f"{_EPYC}: with fewer, or without fusion, sums around the products cost as much as fewer products save"
_LOW = f"{_EPYC}: at lower sides a 4x4 kernel's folding costs as much as it saves"
_H100 = "H100, bfloat16, 2026-11-26 (benchmarks/runs/2026-11-26-h100)"

# The first line that fits is taken.
CHOICES: dict[tuple[Literal["cpu", "gpu"], Layer], tuple[Choice, ...]] = {
    ("cpu", "upsample"): (
        Choice("minimal", _NARROW, channels=32, is_fused=True),
        Choice("strided", _LOW, side_px=16),
        Choice("plain", _LOW),
    ),
    ("cpu", "mean_pool"): (
        Choice("minimal", _NARROW, channels=32, is_fused=True),
        Choice("strided", _LOW, side_px=16),
        Choice("plain", _LOW),
    ),
    ("cpu", "skip"): (
        Choice("pointwise", "a quarter of the products", channels=32, is_fused=True),
        Choice("pointwise", "a quarter of the products", side_px=16),
        Choice("plain", "not measured"),
    ),
    ("cpu", "same"): (
        Choice("minimal", f"{_ZEN5}: 64 channels 1.0 to 1.1 times plain, 1024 at 4 px 2.6", 64, 4, is_fused=True),
        Choice("plain", f"{_ZEN5}: minimal with 32 channels 0.74 to 0.85 times plain"),
    ),
    ("cpu", "image"): (Choice("plain", "padded: not measured"),),
    ("gpu", "upsample"): (
        Choice("strided", f"{_H100}: 512 to 256: plain 2.30, strided 1.02, shuffled 1.11; so at 32, 64 px", side_px=16),
        Choice("strided", f"{_H100}: 1024 to 512: plain 1.74, strided 1.37, shuffled 1.31", side_px=8),
        Choice("plain", f"{_H100}: 1024 to 1024 at 4 px: plain 0.80, strided 1.84, shuffled 0.82"),
    ),
    ("gpu", "mean_pool"): (
        Choice("strided", f"{_H100}: 64 to 64: plain 2.10, strided 0.86, shuffled 1.04", side_px=64),
        Choice("strided", "not measured"),
    ),
    ("gpu", "skip"): (Choice("pointwise", "a quarter of the products"),),
    ("gpu", "same"): (Choice("plain", "there is no other for GPUs"),),
    ("gpu", "image"): (Choice("plain", "padded: not measured"),),
}


def choose(layer: Layer, device: str, *, channels: int, side_px: int, is_fused: Callable[[], bool]) -> Form:
    """Return the form of a layer.

    Args:
        device: a type of PyTorch's; all but "cpu" are taken for GPUs.
        channels: the fewer of inputs and outputs.
        side_px: height of the features, at the lower resolution where the layer resamples.
        is_fused: whether native kernels or a compiler run here; asked only where it matters, as native kernels are
            compiled when first asked for.
    """
    for choice in CHOICES["cpu" if device == "cpu" else "gpu", layer]:
        fits = channels >= choice.channels and side_px >= choice.side_px
        if fits and (not choice.is_fused or is_fused()):
            return choice.form
    raise AssertionError(f"no form of {layer} on {device}")
