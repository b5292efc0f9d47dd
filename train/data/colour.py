"""Pixels of any mode and colour space as 8-bit sRGB."""

import functools
import io
import itertools

import numpy as np
from PIL import Image, ImageChops, ImageCms

GREY_16_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
PROFILED = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK"}  # what ICC profiles call the colour spaces of modes
WITHOUT_ALPHA = {"RGBA": "RGB", "RGBX": "RGB", "P": "RGB", "PA": "RGB", "LA": "L"}
SAME = 2  # levels of 255: a profile that moves no colour further is sRGB


def to_rgb(image: Image.Image, profile: bytes | None = None) -> Image.Image:
    """Convert any 8-bit or 16-bit mode to RGB: transparency laid on white, 16-bit grey cut to its upper 8 bits.

    Args:
        profile: ICC profile of the colours, None for sRGB. A damaged one, or one of another colour space than the
            image (grey JPEGs with a profile for RGB are common), counts as None, as in a browser.
    Raises:
        ValueError: for 32-bit modes, whose range nothing states.
    """
    if image.mode in GREY_16_BIT or (image.mode, image.format) == ("I", "PPM"):  # the format says that I is 16 bits
        # Pillow's own conversion clips at 255 instead of scaling, so almost every pixel would be white.
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode}; allowed are 8 bits a channel and 16-bit grey")
    shown = _in_srgb(image, profile) if profile else None
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        if shown is not None:
            shown.putalpha(layer.getchannel("A"))
            layer = shown
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), layer).convert("RGB")
    if shown is not None:
        return shown
    return image if image.mode == "RGB" else image.convert("RGB")


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image | None:
    """Return the colours in sRGB, without transparency; None if the profile changes none of them."""
    mode = WITHOUT_ALPHA.get(image.mode, image.mode)
    transform = _transform(profile, mode) if mode in PROFILED else None
    if transform is None:
        return None
    return transform.apply(image if image.mode == mode else image.convert(mode))


@functools.lru_cache(maxsize=16)  # a folder's photographs come from few cameras
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return what converts a mode's colours from a profile to sRGB; None if there is nothing to convert."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space != PROFILED[mode]:
            return None
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        transform = ImageCms.ImageCmsTransform(source, srgb, mode, "RGB")
    except (OSError, ValueError):
        return None
    if mode == "CMYK":
        return transform
    # Most profiles say sRGB, in slightly other numbers each. Such an image keeps its bits.
    levels = itertools.product(range(0, 256, 17), repeat=len(mode))
    colours = Image.frombytes(mode, (16 ** len(mode), 1), bytes(itertools.chain.from_iterable(levels)))
    moved = ImageChops.difference(transform.apply(colours), colours.convert("RGB"))
    return transform if max(high for _, high in moved.getextrema()) > SAME else None
