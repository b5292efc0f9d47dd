"""Differentiable augmentation of everything a discriminator sees, so that it cannot learn few images by heart.

The transformations and their ranges are those of Zhao et al. 2020, section 3 ("DiffAugment"); each is applied to each
image with a probability, the strength, as in Karras et al. 2020, section 2.2. At strength 1 all images get all of
them, which is DiffAugment; at 0 images stay as they are, to the bit.
"""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from sngan_cond.config import Transformation

# Uniform numbers that an image takes: whether brightness, saturation, contrast, translation and cutout are applied, the
# amount of the first three, and two offsets of each of the others.
NUMBERS = 12
_TRANSLATION, _CUTOUT = 1 / 8, 1 / 2  # of the side


def augmented(x: Tensor, numbers: Tensor, *, policy: Collection[Transformation], strength: Tensor) -> Tensor:
    """Return images as the discriminator sees them; differentiable in the images, twice where a penalty asks for it.

    Args:
        x: (N, 3, R, R) images in [-1, 1].
        numbers: (N, NUMBERS) uniform on [0, 1), on the images' device.
        policy: the transformations, whose order is always color, translation, cutout.
        strength: scalar in [0, 1], the probability of each transformation of each image.
    Returns:
        (N, 3, R, R), of which "color" takes values out of [-1, 1].
    """
    applied = (numbers[:, :5] < strength).unbind(1)
    brightness, saturation, contrast, down, right, top, left = numbers[:, 5:].unbind(1)
    side = x.shape[-1]
    if "color" in policy:
        shift = torch.where(applied[0], brightness - 0.5, 0.0)
        factors = torch.where(applied[1], 2 * saturation, 1.0), torch.where(applied[2], contrast + 0.5, 1.0)
        x = _recoloured(x, *(amount.to(x.dtype)[:, None, None, None] for amount in (shift, *factors)))
    if "translation" in policy:
        reach = int(side * _TRANSLATION + 0.5)
        x = _Shift.apply(x, *(torch.where(applied[3], _whole(u, -reach, reach), 0) for u in (down, right)))
    if "cutout" in policy:
        hole = int(side * _CUTOUT + 0.5)
        places = torch.arange(side, device=x.device)
        # The centre lies anywhere in the image, and with an even side on its far edge too; what lies outside of the
        # image cuts nothing.
        starts = (_whole(u, -(hole // 2), side - hole // 2 - hole % 2)[:, None] for u in (top, left))
        rows, columns = ((start <= places) & (places < start + hole) for start in starts)
        cut = rows[:, :, None] & columns[:, None, :] & applied[4][:, None, None]
        x = torch.where(cut[:, None], 0.0, x)  # in the layout of x, which `masked_fill` loses
    return x


def _whole(u: Tensor, low: int, high: int) -> Tensor:
    """Map numbers uniform on [0, 1) to integers uniform on low, ..., high."""
    return (u * (high - low + 1)).floor().long() + low


def _recoloured(x: Tensor, shift: Tensor, saturation: Tensor, contrast: Tensor) -> Tensor:
    """Add to the brightness, then scale the distance from each pixel's mean colour, then that from the image's mean.

    With the pixel's mean m and the image's M the three are one affine map, c s x + c (1 - s) m + (1 - c) M + b, which
    is exactly x at s = c = 1 and b = 0.
    """
    grey = x.mean(dim=1, keepdim=True)  # (N, 1, R, R)
    rest = contrast * (1 - saturation) * grey + ((1 - contrast) * grey.mean(dim=(2, 3), keepdim=True) + shift)
    return torch.addcmul(rest, x, contrast * saturation)


class _Shift(torch.autograd.Function):
    """Moves each image by whole pixels (N,) down and to the right, and fills with zeros.

    Its derivative is the shift back, a gather too; that of an index would be a scatter, which is slow, and on a GPU
    adds up in no fixed order.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, down: Tensor, right: Tensor) -> Tensor:
        ctx.save_for_backward(down, right)
        pixels, places, last = x.permute(0, 2, 3, 1), torch.arange(x.shape[-1], device=x.device), x.shape[-1] - 1
        rows, columns = (places - down[:, None])[:, :, None], (places - right[:, None])[:, None, :]  # where from
        for axis, sources in ((1, rows), (2, columns)):
            pixels = pixels.gather(axis, sources.clamp(0, last)[..., None].expand_as(pixels))
        outside = (rows < 0) | (rows > last) | (columns < 0) | (columns > last)  # (N, R, R)
        return pixels.masked_fill_(outside[..., None], 0.0).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        down, right = ctx.saved_tensors
        return _Shift.apply(grad, -down, -right), None, None
