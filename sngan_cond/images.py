"""Grids of images, and the files that hold images: single ones, animations and arrays."""

import math
import zipfile
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sngan_cond.atomic import atomic_file

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SIDE_PX = 65_000  # of a grid; viewers open no larger ones

_WEBP = {"lossless": True}
_JPEG = {"quality": 95, "subsampling": "4:4:4"}
_STILL: dict[str, tuple[str, dict[str, Any]]] = {  # ending to Pillow's name of the format, and how it is written
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", _JPEG),
    ".jpeg": ("JPEG", _JPEG),
    ".webp": ("WEBP", _WEBP),
    ".avif": ("AVIF", {"quality": 90, "subsampling": "4:4:4"}),
}
_MOVING: dict[str, tuple[str, dict[str, Any]]] = {".gif": ("GIF", {}), ".webp": ("WEBP", _WEBP), ".apng": ("PNG", {})}
# WebP's own limit; and of AVIF what libavif reads back unless told otherwise: it writes larger ones.
_MAX_SIDE_PX = {".webp": 16_383, ".avif": 16_384}


def to_grid(images: Tensor, *, columns: int, padding: int = 2) -> Tensor:
    """Lay images out in rows on white; one image alone stays as it is.

    Args:
        images: (N, 3, H, W) uint8, N >= 1.
        columns: images in a row, at least 1.
        padding: white pixels between and around images.
    Returns:
        (3, H', W') uint8.
    Raises:
        ValueError: if there are no images or columns, or the grid would be larger than `MAX_SIDE_PX` on a side.
    """
    count, channels, height, width = images.shape
    check_grid(count, side_px=max(height, width), columns=columns, padding=padding)
    if count == 1:
        return images[0]
    rows, columns = math.ceil(count / columns), min(columns, count)
    grid = images.new_full((channels, rows * (height + padding) + padding, columns * (width + padding) + padding), 255)
    for i, image in enumerate(images):
        top = padding + i // columns * (height + padding)
        left = padding + i % columns * (width + padding)
        grid[:, top : top + height, left : left + width] = image
    return grid


def check_grid(count: int, *, side_px: int, columns: int, padding: int = 2, ending: str = ".png") -> None:
    """Refuse a grid as `to_grid` does, before its images are generated.

    Args:
        count: number of images.
        side_px: longer side of each.
        ending: of the file, whose format may have a limit of its own.
    """
    if count < 1 or columns < 1:
        raise ValueError(f"a grid of {count} images in {columns} columns: at least 1 of each is needed")
    longer, limit = max(min(columns, count), math.ceil(count / columns)), _MAX_SIDE_PX.get(ending, MAX_SIDE_PX)
    if longer * (side_px + padding) + padding > limit:
        raise ValueError(
            f"a grid with {longer} images of {side_px} px in a line: at most {limit:,} px on a side are allowed"
            f"{f' in {ending}' if ending in _MAX_SIDE_PX else ''}; single images go into a folder"
        )


def endings(*, moving: bool = False) -> list[str]:
    """Return the endings of the files that this Pillow writes: of single images, or of animations.

    Raises:
        ValueError: if Pillow is not installed.
    """
    pillow = _pillow()
    pillow.init()
    return [ending for ending, (kind, _) in (_MOVING if moving else _STILL).items() if kind in pillow.SAVE]


def save_image(image: Tensor, path: str | Path) -> None:
    """Write one image, whole or not at all; the same image gives the same bytes.

    Args:
        image: (3, H, W) uint8.
        path: ends in one of `endings()`; the folder exists. PNG and WebP keep every bit, JPEG and AVIF nearly all.
    Raises:
        ValueError: if Pillow is not installed, or `path` ends otherwise.
    """
    kind, options = _format(Path(path), "an image", moving=False)
    _save(image, Path(path), kind, options)


def save_png(image: Tensor, path: str | Path) -> None:
    """Write one image as PNG as `save_image` does, whatever the ending of `path`."""
    _save(image, Path(path), "PNG", {})


def save_animation(frames: Tensor, path: str | Path, *, frame_ms: int = 120) -> None:
    """Write images as an animation that repeats for ever, whole or not at all.

    Args:
        frames: (N, 3, H, W) uint8; equal neighbours may be joined. A GIF has 256 colours a frame, WebP and APNG keep
            every colour.
        path: ends in one of `endings(moving=True)`; the folder exists.
        frame_ms: how long each frame stays, in milliseconds.
    Raises:
        ValueError: if Pillow is not installed, or `path` ends otherwise.
    """
    final = Path(path)
    kind, options = _format(final, "an animation", moving=True)
    first, *others = [to_pil(frame) for frame in frames]
    with atomic_file(final) as draft:
        first.save(draft, format=kind, save_all=True, append_images=others, duration=frame_ms, loop=0, **options)


def save_arrays(batches: Iterable[Tensor], path: str | Path, *, count: int, side_px: int, y: Tensor | None) -> None:
    """Write images as a NumPy array, whole or not at all and a batch at a time.

    The `.npz` has the layout of the sample files of guided-diffusion (ADM) and DiT, which their evaluators read.

    Args:
        batches: (n, 3, R, R) uint8 each, `count` images in all.
        path: ends in .npy for the images alone, (N, R, R, 3) uint8, or in .npz for these as `arr_0` and `y` as `arr_1`.
        side_px: R.
        y: (N,) labels, (N, K) class weights, or None.
    Raises:
        ValueError: if `path` ends otherwise, or the images are others or not as many.
    """
    final, shape = Path(path), (count, side_px, side_px, 3)
    if final.suffix.lower() not in (".npy", ".npz"):
        raise ValueError(f"path={str(path)!r}: arrays end in .npy or .npz")
    with atomic_file(final) as draft:
        if final.suffix.lower() == ".npy":
            with draft.open("wb") as stream:
                _write_array(stream, batches, shape)
            return
        with zipfile.ZipFile(draft, "w") as archive:
            with archive.open("arr_0.npy", "w", force_zip64=True) as stream:
                _write_array(stream, batches, shape)
            if y is not None:
                with archive.open("arr_1.npy", "w", force_zip64=True) as stream:
                    np.lib.format.write_array(stream, y.numpy(), allow_pickle=False)


def _write_array(stream: IO[bytes], batches: Iterable[Tensor], shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    written = 0
    for batch in batches:
        if batch.dtype != torch.uint8 or batch.shape[1:] != (3, *shape[1:3]):
            raise _not_images("batch", batch, f"(n, 3, {shape[1]}, {shape[2]})")
        stream.write(batch.permute(0, 2, 3, 1).contiguous().cpu().numpy().data)
        written += len(batch)
    if written != shape[0]:
        raise ValueError(f"count={shape[0]}: the batches hold {written} images")


def _save(image: Tensor, path: Path, kind: str, options: dict[str, Any]) -> None:
    pil_image = to_pil(image)
    with atomic_file(path) as draft:
        pil_image.save(draft, format=kind, **options)


def _format(path: Path, what: str, *, moving: bool) -> tuple[str, dict[str, Any]]:
    known = endings(moving=moving)
    if path.suffix.lower() not in known:
        raise ValueError(f"path={str(path)!r}: {what} ends in {', '.join(known[:-1])} or {known[-1]}")
    return (_MOVING if moving else _STILL)[path.suffix.lower()]


def to_pil(image: Tensor) -> "Image":
    """Return an image as Pillow's, in RGB.

    Args:
        image: (3, H, W) uint8.
    Raises:
        ValueError: if Pillow is not installed, or the image is of another shape or type.
    """
    if image.dtype != torch.uint8 or image.ndim != 3 or len(image) != 3:
        raise _not_images("image", image, "(3, H, W)")
    made: Image = _pillow().fromarray(image.permute(1, 2, 0).contiguous().cpu().numpy())
    return made


def _not_images(name: str, given: Tensor, shape: str) -> ValueError:
    return ValueError(
        f"{name} of shape {tuple(given.shape)} and {given.dtype}: {shape} uint8 is allowed; sampling.to_uint8 makes it "
        "of images in [-1, 1]"
    )


def _pillow() -> ModuleType:
    try:
        from PIL import Image  # here: nothing else needs Pillow
    except ImportError as error:
        raise ValueError('image files and output="pil" need Pillow: pip install pillow') from error
    return Image
