"""Which form of a convolution is fastest at the shapes of the 128 px networks: what `auto` is chosen by."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, get_args

import torch
from torch import Tensor

from benchmarks.gpu.campaign import Campaign, Row, Rows
from benchmarks.gpu.timing import per_call_s
from benchmarks.machine import computes_in_bf16
from sngan_cond.config import ConvBackend
from sngan_cond.fast import conv_mean_pool2d, same_conv2d, upsample_conv2d
from sngan_cond.fast.padding import GROUP


class Shape(NamedTuple):
    """Images, channels in and out, and the side in pixels of the input, of a 3x3 convolution."""

    n: int
    c_in: int
    c_out: int
    side_px: int


UPSAMPLE = (
    *(Shape(128, 1024, 1024, 4), Shape(128, 1024, 512, 8), Shape(128, 512, 256, 16), Shape(128, 256, 128, 32)),
    *(Shape(128, 128, 64, 64), Shape(128, 256, 256, 16)),  # the last is of 32 px
)
MEAN_POOL = (
    *(Shape(64, 64, 64, 128), Shape(64, 64, 128, 64), Shape(64, 128, 256, 32), Shape(64, 256, 512, 16)),
    *(Shape(64, 512, 1024, 8), Shape(64, 128, 128, 32)),
)
SAME = (
    *(Shape(64, 3, 64, 128), Shape(128, 64, 3, 128), Shape(128, 64, 64, 128), Shape(64, 1024, 1024, 4)),
    *(Shape(128, 256, 256, 32), Shape(64, 128, 128, 8)),
)
Convolution = Callable[[Tensor, Tensor, None], Tensor]
BACKENDS = tuple(name for name in get_args(ConvBackend) if name != "auto")
KINDS: dict[str, tuple[tuple[Shape, ...], dict[str, Convolution]]] = {
    "upsample and convolve": (UPSAMPLE, {name: partial(upsample_conv2d, backend=name) for name in BACKENDS}),
    "convolve and mean-pool": (MEAN_POOL, {name: partial(conv_mean_pool2d, backend=name) for name in BACKENDS}),
    "convolve": (
        SAME,
        {
            "plain": partial(same_conv2d, backend="plain", pad_channels=False),
            "minimal": partial(same_conv2d, backend="minimal", pad_channels=False),
            "padded": partial(same_conv2d, backend="plain", pad_channels=True),
        },
    ),
}


def run(campaign: Campaign) -> Rows:
    """Time every form at every shape, forward, and forward and backward."""
    device = torch.device(campaign.device)
    dtype = torch.bfloat16 if computes_in_bf16(device) else torch.float32
    torch.backends.cudnn.benchmark = True
    for kind, (shapes, forms) in KINDS.items():
        for shape in map(_narrowed, shapes[:2]) if campaign.narrow else shapes:
            for name, convolution in forms.items():
                if name == "padded" and min(shape.c_in, shape.c_out) >= GROUP:
                    continue  # it would be the plain one
                words = f"{shape.n} x {shape.c_in} to {shape.c_out}, from {shape.side_px} px"
                row = _timed(convolution, shape, dtype, device)
                yield f"{kind}, {str(dtype).removeprefix('torch.')}", {"shape": words, "form": name} | row


def _narrowed(shape: Shape) -> Shape:
    return Shape(2, min(shape.c_in, 16), min(shape.c_out, 16), min(shape.side_px, 16))


def _timed(convolution: Convolution, shape: Shape, dtype: torch.dtype, device: torch.device) -> Row:
    x = torch.randn(shape.n, shape.c_in, shape.side_px, shape.side_px, device=device, dtype=dtype)
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(shape.c_out, shape.c_in, 3, 3, device=device).div(3 * shape.c_in**0.5)
    weight = weight.contiguous(memory_format=torch.channels_last).requires_grad_()  # float32, as training keeps it

    def forward() -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
            return convolution(x, weight, None)

    grad = torch.randn_like(forward())

    def both() -> None:
        x.grad = weight.grad = None
        forward().backward(grad)

    both()
    both()
    timed = partial(per_call_s, device=device, most=20, longest_s=0.05)
    return {"forward, ms": 1e3 * timed(forward), "forward and backward, ms": 1e3 * timed(both)}
