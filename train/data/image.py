"""One image: decode, turn upright, crop, fit to a square, or say why it cannot be used."""

import dataclasses
import struct
import warnings
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
FITS = ("resize", "pad")
REASONS = ("unreadable", "truncated", "too_small")
# What Pillow's decoders raise on damaged files, found in their sources: there is no common base class.
DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    IndexError,
    KeyError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
GREY_16_BIT = ("I;16", "I;16L", "I;16B", "I;16N")


class BadImageError(Exception):
    """An image that cannot be used.

    Args:
        reason: one of REASONS.
        detail: what exactly; line breaks become spaces.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, " ".join(detail.split())


@dataclasses.dataclass(frozen=True)
class Fitting:
    """How an image of any size becomes a square of `resolution` pixels.

    The official preparation is `crop="center", fit="resize", filter="bilinear"`: centre crop of the short side, then
    scipy.misc.imresize, which is Pillow's resize (pfnet-research/sngan_projection datasets/imagenet.py). There,
    imresize was handed float32 images and therefore stretched each from its own minimum and maximum to 0 and 255; that
    accident is not copied.

    Args:
        resolution: side R of the result in pixels.
        crop: `center` (square of the short side), `center:PX` (square of that side) or `none`.
        fit: `resize` (to the square, enlarging and, with crop none, stretching) or `pad` (reduce if needed, never
            enlarge or stretch, centre on black).
        filter: key of FILTERS; all but nearest average over the area when reducing.
        min_side_px: images with a shorter side are bad.
    """

    resolution: int
    crop: str = "center"
    fit: str = "resize"
    filter: str = "bilinear"
    min_side_px: int = 1

    @property
    def crop_px(self) -> int | None:
        """Side of a fixed-size crop, None where the crop follows the image."""
        return int(self.crop.removeprefix("center:")) if ":" in self.crop else None

    def apply(self, image: Image.Image) -> np.ndarray:
        """Crop and resize.

        Args:
            image: RGB.
        Returns:
            (R, R, 3) uint8.
        Raises:
            BadImageError: if the image is too small.
        """
        short = min(image.size)
        needed = max(self.min_side_px, self.crop_px or 1)
        if short < needed:
            raise BadImageError("too_small", f"{image.width}x{image.height} px, allowed is {needed} px a side or more")
        if self.crop != "none":
            side = self.crop_px or short
            # The official arithmetic: where the margins cannot be equal, the one on the left or at the top is smaller.
            left, top = (image.width - side) // 2, (image.height - side) // 2
            image = image.crop((left, top, left + side, top + side))
        target = (self.resolution, self.resolution)
        if self.fit == "pad":
            scale = min(1.0, self.resolution / max(image.size))
            target = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
        if image.size != target:
            # Pillow widens its filters by the reduction, so every source pixel counts. torch's interpolate does not
            # unless asked to (antialias=True), and its aliased images would have another FID.
            image = image.resize(target, FILTERS[self.filter])
        if target != (self.resolution, self.resolution):
            ground = Image.new("RGB", (self.resolution, self.resolution))
            ground.paste(image, ((self.resolution - target[0]) // 2, (self.resolution - target[1]) // 2))
            image = ground
        return np.asarray(image)


def decode(file: Path | IO[bytes]) -> Image.Image:
    """Read an encoded image as a viewer shows it.

    EXIF orientation is applied (the official code ignores it; it turns a handful of ImageNet's images and many
    photographs from phones). Grey becomes three equal channels, CMYK and palettes are converted, transparency is laid
    on white, 16-bit grey is cut to its upper 8 bits; of an animation the first frame is used.

    Returns:
        RGB image, fully loaded.
    Raises:
        BadImageError: if it is unreadable or truncated.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd metadata; errors in pixels are exceptions
            with Image.open(file) as image:
                image.load()  # open reads only the header: what is wrong with the pixels shows here
                # Before to_rgb, which may return an image without the EXIF data; before any crop, which means what is
                # in the middle for a viewer.
                return to_rgb(ImageOps.exif_transpose(image))
    except DECODER_ERRORS as error:
        reason = "truncated" if "truncated" in str(error).lower() else "unreadable"
        detail = error.strerror if isinstance(error, OSError) and error.strerror else f"{error}"
        raise BadImageError(reason, detail or type(error).__name__) from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any 8-bit or 16-bit mode to RGB, as `decode` documents.

    Raises:
        ValueError: for 32-bit modes, whose range nothing states.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in GREY_16_BIT:
        # Pillow's own conversion clips at 255 instead of scaling, so almost every pixel would be white.
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode}; allowed are 8 bits a channel and 16-bit grey")
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
