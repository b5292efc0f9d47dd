"""One image: decode, turn upright, crop, fit to a square, or say why it cannot be used."""

import contextlib
import dataclasses
import functools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from sngan_cond.stored import check_regular, open_regular
from sngan_cond.validation import one_line
from train.data.colour import to_rgb

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
FITS = ("resize", "pad")
REASONS = ("unreadable", "truncated", "too_small", "too_large")
COLOUR_PROFILES = ("convert", "ignore")
MAX_PIXELS = 178_956_970  # where Pillow itself, unless told otherwise, takes a file for a decompression bomb
# What cameras, phones, scanners, browsers and renderers write; phones' MPO is opened as JPEG. Left out of what Pillow
# reads is what runs a program (EPS: Ghostscript), is handed to the system (WMF) or to a plug-in (BUFR, GRIB, HDF5), and
# what holds no photographs: icons, textures of games, documents of editors, data of instruments. Each would be one more
# decoder of hostile files. The last one is tried last, for it knows its files by no signature.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "QOI", "TGA")
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".tiff", ".tif"),
    *(".avif", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".qoi", ".tga"),
    *(".heic", ".heif", ".hif"),
)
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


class BadImageError(Exception):
    """An image that cannot be used.

    Args:
        reason: one of REASONS.
        detail: what exactly; put on one line, and cut where it is long.
    """

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, one_line(detail, 400, more="…")
        super().__init__(f"{reason}: {self.detail}")


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
            size = f"{image.width}x{image.height} px, allowed is {needed} px a side or more"
            advice = f"; --min-side {short} allows it" if short >= (self.crop_px or 1) else ""
            raise BadImageError("too_small", size + advice)
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


def decode(file: Path | IO[bytes], *, colour_profile: str = "convert", max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read an encoded image as a viewer shows it.

    EXIF orientation and, unless told otherwise, an embedded colour profile are applied (the official code ignores both;
    they matter to a handful of ImageNet's images and many photographs from phones). Grey becomes three equal channels,
    CMYK, LAB and palettes are converted, transparency is laid on white, 16 bits a channel are cut to the upper 8; of an
    animation the first frame is used.

    Args:
        colour_profile: one of COLOUR_PROFILES; `ignore` takes all colours for sRGB.
        max_pixels: larger images are refused before their pixels are decoded.
    Returns:
        RGB image, fully loaded.
    Raises:
        BadImageError: if it is unreadable, truncated or too large.
    """
    with opened(file) as image:
        pixels = image.width * image.height
        if pixels > max_pixels:
            size = f"{image.width}x{image.height} px are {pixels:,} pixels"
            advice = f"--max-pixels {pixels} allows it"
            raise BadImageError("too_large", f"{size}, allowed are {max_pixels:,}; {advice}")
        Image.MAX_IMAGE_PIXELS = max_pixels  # for sizes that are stated within the file
        image.load()  # opened reads only the header: what is wrong with the pixels shows here
        profile = image.info.get("icc_profile") if colour_profile == "convert" else None
        _turn_upright(image)  # before any crop, which means what is in the middle for a viewer
        return to_rgb(image, profile)


def size_of(file: Path | IO[bytes]) -> tuple[int, int]:
    """Read width and height of an encoded image as a viewer shows it, from its header alone.

    Raises:
        BadImageError: if the header is unreadable.
    """
    with opened(file) as image:
        return image.size[::-1] if _lies_on_its_side(image) else image.size


@contextlib.contextmanager
def opened(file: Path | IO[bytes]) -> Iterator[Image.Image]:
    """Open an encoded image of one of FORMATS, of which only the header is read.

    Raises:
        BadImageError: if it is unreadable, or anything goes wrong as long as it is open.
    """
    # Pillow's own limit is checked before anybody learns the size.
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd metadata; errors in pixels are exceptions
            if isinstance(file, Path):
                check_regular(file)
            with Image.open(file, formats=(*FORMATS, "HEIF") if heif_version() else FORMATS) as image:
                yield image
    except BadImageError:
        raise
    except Exception as error:  # decoders raise nearly every kind on damaged files, and each is that file's fault alone
        raise BadImageError(*_why(file, error)) from error
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _turn_upright(image: Image.Image) -> None:
    """Apply EXIF orientation, if any; damaged EXIF data say nothing and cost no image."""
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except MemoryError:
        raise
    except Exception:  # of many kinds, as from decoders
        return


def _lies_on_its_side(image: Image.Image) -> bool:
    try:
        return image.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
    except Exception:  # as in _turn_upright
        return False


@functools.cache
def heif_version() -> str | None:
    """Let Pillow read HEIC where the package for it is installed, and return its version; None where it is not."""
    try:
        import pillow_heif
    except ImportError:
        return None
    pillow_heif.register_heif_opener()
    return str(pillow_heif.__version__)


def _why(file: Path | IO[bytes], error: Exception) -> tuple[str, str]:
    """Return reason and detail of what went wrong in a decoder."""
    if isinstance(error, UnidentifiedImageError) and heif_version() is None and _is_heif(file):
        return "unreadable", 'a HEIC image (.heic); pip install ".[heic]" and it is read'
    if isinstance(error, UnidentifiedImageError):  # whose own text has the place in memory of what came from an archive
        return "unreadable", "is no image of a format that is read"
    reason = "truncated" if "truncated" in str(error).lower() else "unreadable"
    detail = error.strerror if isinstance(error, OSError) and error.strerror else f"{error}"
    return reason, detail or type(error).__name__


def _is_heif(file: Path | IO[bytes]) -> bool:
    if isinstance(file, Path):
        with open_regular(file) as opened:
            return _is_heif(opened)
    file.seek(0)
    return begins_as_heif(file.read(12))


def begins_as_heif(head: bytes) -> bool:
    """Return whether the first 12 bytes of a file are those of a HEIC image."""
    return head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS
