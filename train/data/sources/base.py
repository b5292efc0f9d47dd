"""What every source offers, and the forms in which an image travels to a worker process."""

import dataclasses
import hashlib
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from train.data.image import decode


class Item(Protocol):
    """One image, not yet decoded; small enough to be sent to another process."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    def read(self) -> Image.Image:
        """Decode to RGB, or raise BadImageError."""
        ...


@dataclasses.dataclass(frozen=True)
class FileItem:
    """An image file."""

    name: str
    path: Path

    def read(self) -> Image.Image:
        """Decode the file."""
        return decode(self.path)


@dataclasses.dataclass(frozen=True)
class BytesItem:
    """An image file held in memory."""

    name: str
    content: bytes

    def read(self) -> Image.Image:
        """Decode the bytes."""
        return decode(io.BytesIO(self.content))


@dataclasses.dataclass(frozen=True)
class ArrayItem:
    """Pixels: (H, W) or (H, W, 3) uint8."""

    name: str
    pixels: np.ndarray

    def read(self) -> Image.Image:
        """Convert to RGB; grey pixels get three equal channels."""
        return Image.fromarray(self.pixels).convert("RGB")


@dataclasses.dataclass(frozen=True)
class Source:
    """A list of labelled images in a fixed order.

    Args:
        class_names: in label order; empty for images without classes.
        class_ids: WordNet ids in label order, None where there are none.
        labels: (N,) int64; all 0 without classes.
        items: indices -> the images there; called for a chunk at a time.
        listing: sha256 that changes when the list of images does.
        crop: default of `--crop`.
        fit: default of `--fit`.
        min_side_px: default of `--min-side`, None for the resolution asked for.
        remarks: things found while listing that a user should know.
    """

    class_names: list[str]
    class_ids: list[str] | None
    labels: np.ndarray
    items: Callable[[np.ndarray], Sequence[Item]]
    listing: str
    crop: str = "center"
    fit: str = "resize"
    min_side_px: int | None = 1
    remarks: tuple[str, ...] = ()


def arrays_source(
    images: np.ndarray, labels: np.ndarray | None, class_names: list[str], name: str, fit: str = "resize"
) -> Source:
    """Make a source of pixels that are in memory or memory-mapped.

    Args:
        images: (N, H, W) or (N, H, W, 3) uint8.
        labels: (N,) integers, None for images without classes.
        class_names: in label order, empty if `labels` is None.
        name: what reports call the whole; image i is `name[i]`.
        fit: default of `--fit`.
    """
    labels = np.zeros(len(images), np.int64) if labels is None else np.asarray(labels, dtype=np.int64)

    def items(indices: np.ndarray) -> list[Item]:
        return [ArrayItem(f"{name}[{i}]", np.ascontiguousarray(images[i])) for i in indices.tolist()]

    digest = hashlib.sha256(labels.tobytes())
    for start in range(0, len(images), 4096):  # a memory-mapped array may be larger than memory
        digest.update(np.ascontiguousarray(images[start : start + 4096]).data)
    return Source(class_names, None, labels, items, digest.hexdigest(), fit=fit)


def printable(path: Path | str) -> str:
    """Return a path as text that any terminal and UTF-8 file takes, whatever bytes its name has."""
    return os.fsencode(path).decode("utf-8", "replace")
