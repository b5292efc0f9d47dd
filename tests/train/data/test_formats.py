"""Every format that is read, those that are not, sizes, and files that are damaged in any way."""

import io
import random
import struct
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from tests.refusals import refused
from tests.train.data.icc import P3_PROFILE
from tests.train.data.images import smooth_image
from train.data import image as images
from train.data.image import FORMATS, SUFFIXES, BadImageError, decode
from train.data.sources.files import folder_files
from train.data.sources.listing import list_images

EXIF = Image.Exif()
EXIF[0x0112] = 6  # a viewer turns it by 90 degrees clockwise
# What Pillow calls the format, how a file of it is written, and how far pixels may be off on average.
WRITTEN: dict[str, tuple[str, dict[str, Any], float]] = {
    "jpg": ("JPEG", {"quality": 95, "exif": EXIF, "icc_profile": P3_PROFILE}, 3),
    "mpo": ("MPO", {"quality": 95, "save_all": True, "append_images": [Image.new("RGB", (40, 24))]}, 3),
    "png": ("PNG", {"exif": EXIF, "icc_profile": P3_PROFILE}, 0),
    "apng": ("PNG", {"save_all": True, "append_images": [Image.new("RGB", (40, 24))]}, 0),
    "webp": ("WEBP", {"lossless": True, "exif": EXIF, "icc_profile": P3_PROFILE}, 0),
    "gif": ("GIF", {"save_all": True, "append_images": [Image.new("RGB", (40, 24))]}, 8),
    "bmp": ("BMP", {}, 0),
    "tif": ("TIFF", {"exif": EXIF, "icc_profile": P3_PROFILE}, 0),
    "tiff": ("TIFF", {"compression": "tiff_lzw"}, 0),
    "avif": ("AVIF", {"quality": 95, "exif": EXIF, "icc_profile": P3_PROFILE}, 3),
    "jp2": ("JPEG2000", {}, 0),
    "ppm": ("PPM", {}, 0),
    "qoi": ("QOI", {}, 0),
    "tga": ("TGA", {"compression": "tga_rle"}, 0),
    "heic": ("HEIF", {"quality": 95, "exif": EXIF, "icc_profile": P3_PROFILE}, 8),  # colours at half resolution
}
HEIC_HEAD = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


def written(suffix: str) -> tuple[Image.Image, bytes]:
    """An image as viewers show it but for its profile, and a file of it."""
    kind, options, _ = WRITTEN[suffix]
    if kind == "HEIF" and images.heif_version() is None:
        pytest.skip("an optional package is missing: pillow-heif")
    image = smooth_image(5, 40, 24)
    turned = "exif" in options and kind != "HEIF"  # pillow-heif turns the pixels when it writes them
    stored = image.transpose(Image.Transpose.ROTATE_90) if turned else image
    stored.save(file := io.BytesIO(), kind, **options)
    return image, file.getvalue()


@pytest.mark.parametrize("suffix", WRITTEN)
def test_a_format_is_read_whatever_the_file_is_called(suffix: str, tmp_path: Path) -> None:
    image, content = written(suffix)
    path = tmp_path / "picture.jpg"
    path.write_bytes(content)
    shown = decode(path, colour_profile="ignore")
    assert (shown.mode, shown.size) == ("RGB", (40, 24))
    assert np.abs(np.asarray(shown, int) - np.asarray(image)).mean() <= WRITTEN[suffix][2]
    profiled = "icc_profile" in WRITTEN[suffix][1]
    assert (np.asarray(decode(io.BytesIO(content))) != np.asarray(shown)).any() == profiled
    assert f".{suffix}" in SUFFIXES


def test_suffixes_are_those_of_the_formats() -> None:
    kinds = {*FORMATS, "MPO", "HEIF"}
    known = {suffix for suffix, kind in Image.registered_extensions().items() if kind in kinds}
    # Sequences, floats, and names of TGA that mean other things as well; HEIF's are known with its package only.
    assert known - set(SUFFIXES) <= {".avifs", ".heics", ".heifs", ".pfm", ".icb", ".vda", ".vst"}
    assert set(SUFFIXES) - known <= {".heic", ".heif", ".hif"}


@pytest.mark.parametrize("kind", ["EPS", "ICO", "PCX"])
def test_other_formats_are_not_opened_even_by_the_name_of_a_photograph(kind: str, tmp_path: Path) -> None:
    smooth_image(5, 40, 24).save(tmp_path / "a.jpg", kind)
    for file in (tmp_path / "a.jpg", io.BytesIO((tmp_path / "a.jpg").read_bytes())):  # skipped.tsv is equal to the byte
        with pytest.raises(BadImageError, match=r"^unreadable: is no image of a format that is read$"):
            decode(file)


def test_without_the_extra_heic_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "heif_version", lambda: None)
    (tmp_path / "a.heic").write_bytes(HEIC_HEAD)
    for file in (tmp_path / "a.heic", io.BytesIO(HEIC_HEAD)):
        refused(partial(decode, file), 'unreadable: a HEIC image (.heic); pip install ".[heic]"', by=BadImageError)
    (tmp_path / "b").write_bytes(HEIC_HEAD)  # of a phone's album, without a suffix
    (tmp_path / "c").write_bytes(HEIC_HEAD.replace(b"ftyp", b"moov"))
    assert list_images(folder_files(tmp_path)).images == ["a.heic", "b"]


# --- sizes


def test_an_image_that_is_too_large_is_refused_before_its_pixels_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 50_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    with monkeypatch.context() as patch:
        patch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("decoded"))
        said = refused(lambda: decode(io.BytesIO(bomb)), by=BadImageError)
    assert said == (
        "too_large: 60000x50000 px are 3,000,000,000 pixels, allowed are 178,956,970; --max-pixels 3000000000 allows it"
    )
    limit, (_, content) = Image.MAX_IMAGE_PIXELS, written("png")
    assert decode(io.BytesIO(content), max_pixels=24 * 40).mode == "RGB"
    refused(lambda: decode(io.BytesIO(content), max_pixels=24 * 40 - 1), "too_large: 24x40 px", by=BadImageError)
    assert limit == Image.MAX_IMAGE_PIXELS


# --- damage


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (MemoryError(), "MemoryError"),
        (RecursionError("maximum recursion depth exceeded"), "maximum recursion depth exceeded"),
        (AttributeError("'NoneType' object has no attribute 'read'"), "'NoneType' object"),
        (RuntimeError("Failed to decode frame 0"), "Failed to decode frame 0"),
        (AssertionError(), "AssertionError"),
        (OSError(5, "Input/output error"), "Input/output error"),
    ],
)
def test_whatever_a_decoder_raises_is_about_its_image(
    error: Exception, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise error

    _, content = written("png")
    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    refused(lambda: decode(io.BytesIO(content)), f"unreadable: {detail}", by=BadImageError)


def mutated(content: bytes, chance: random.Random) -> bytes:
    """A file with a cut, changed bytes or a stretch of it lost or replaced."""
    changed = bytearray(content)
    kind = chance.randrange(3)
    if kind == 0:
        del changed[chance.randrange(len(changed)) :]
    elif kind == 1:
        for _ in range(chance.choice((1, 3, 20))):
            changed[chance.randrange(min(len(changed), chance.choice((64, 600, 10**6))))] = chance.randrange(256)
    else:
        start = chance.randrange(len(changed))
        changed[start : start + chance.choice((1, 50))] = chance.randbytes(chance.choice((0, 1, 50)))
    return bytes(changed)


@pytest.mark.parametrize("count", [12, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("suffix", WRITTEN)
def test_damage_ends_no_run(suffix: str, count: int) -> None:
    _, content = written(suffix)
    chance, bad = random.Random(suffix), []
    for _ in range(count):
        try:
            assert decode(io.BytesIO(mutated(content, chance))).mode == "RGB"
        except BadImageError as error:
            bad.append(error)
    assert all(error.detail for error in bad)
    assert len(bad) >= count / 6  # a third is cut, of which some formats need only the beginning


@pytest.mark.parametrize("exif", [b"Exif\0\0no TIFF file", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0"])
def test_damaged_metadata_cost_no_image(exif: bytes) -> None:
    image = smooth_image(5, 40, 24)
    image.save(file := io.BytesIO(), "JPEG", quality=95, exif=exif)
    assert np.abs(np.asarray(decode(file), int) - np.asarray(image)).mean() < 3
