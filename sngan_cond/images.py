"""Grids of images, PNG files and animations."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sngan_cond.atomic import atomic_file

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SIDE_PX = 65_000  # of a grid; viewers open no larger ones


def to_grid(images: Tensor, *, columns: int, padding: int = 2) -> Tensor:
    """Lay images out in rows on white.

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
    rows, columns = math.ceil(count / columns), min(columns, count)
    grid = images.new_full((channels, rows * (height + padding) + padding, columns * (width + padding) + padding), 255)
    for i, image in enumerate(images):
        top = padding + i // columns * (height + padding)
        left = padding + i % columns * (width + padding)
        grid[:, top : top + height, left : left + width] = image
    return grid


def check_grid(count: int, *, side_px: int, columns: int, padding: int = 2) -> None:
    """Refuse a grid as `to_grid` does, before its images are generated.

    Args:
        count: number of images.
        side_px: longer side of each.
    """
    if count < 1 or columns < 1:
        raise ValueError(f"a grid of {count} images in {columns} columns: at least 1 of each is needed")
    longer = max(min(columns, count), math.ceil(count / columns))
    if longer * (side_px + padding) + padding > MAX_SIDE_PX:
        raise ValueError(
            f"a grid with {longer} images of {side_px} px in a line: at most {MAX_SIDE_PX:,} px on a side are allowed; "
            "single images go into a folder"
        )


def save_png(image: Tensor, path: str | Path) -> None:
    """Write one image as PNG, whole or not at all; the same image gives the same bytes.

    Args:
        image: (3, H, W) uint8.
        path: the folder exists.
    Raises:
        ValueError: if Pillow is not installed.
    """
    pil_image = to_pil(image)
    with atomic_file(Path(path)) as draft:
        pil_image.save(draft, format="PNG")


def save_animation(frames: Tensor, path: str | Path, *, frame_ms: int = 120) -> None:
    """Write images as an animation that repeats for ever, whole or not at all.

    Args:
        frames: (N, 3, H, W) uint8; a GIF has 256 colours a frame and joins equal neighbours, WebP keeps every colour.
        path: ends in .gif or .webp; the folder exists.
        frame_ms: how long each frame stays, in milliseconds.
    Raises:
        ValueError: if Pillow is not installed, or `path` ends otherwise.
    """
    final = Path(path)
    formats = {".gif": ("GIF", {}), ".webp": ("WEBP", {"lossless": True})}
    if final.suffix.lower() not in formats:
        raise ValueError(f"path={str(path)!r}: an animation ends in {' or '.join(formats)}")
    kind, options = formats[final.suffix.lower()]
    first, *others = [to_pil(frame) for frame in frames]
    with atomic_file(final) as draft:
        first.save(draft, format=kind, save_all=True, append_images=others, duration=frame_ms, loop=0, **options)


def to_pil(image: Tensor) -> "Image":
    """Return an image as Pillow's, in RGB.

    Args:
        image: (3, H, W) uint8.
    Raises:
        ValueError: if Pillow is not installed.
    """
    try:
        from PIL import Image  # here: nothing else needs Pillow
    except ImportError as error:
        raise ValueError('image files and output="pil" need Pillow: pip install pillow') from error
    return Image.fromarray(image.permute(1, 2, 0).contiguous().to(torch.uint8).cpu().numpy())
