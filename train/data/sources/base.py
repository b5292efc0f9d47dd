"""What is asked of a source of images, and what every source answers: a list of images that are not decoded yet."""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from train.data.colour import to_rgb
from train.data.image import MAX_PIXELS, decode

# How encoded images are read: the fields, and what sets made before them are taken to say.
EARLIER_READING = {"colour_profile": "ignore", "max_pixels": 178_956_970}


@dataclasses.dataclass(frozen=True)
class SourceRequest:
    """Which images are wanted, as on the command line; each source reads what concerns it.

    All but `download` goes into `dataset.json`, in this order. A field to come defaults to None, which is also what
    sets made before it are taken to say, unless EARLIER_READING has it.

    Args:
        source: as the user gave it, a name of `KINDS` and what may follow it.
        resolution: side in pixels at which shapes are drawn.
        split: which part, None for the source's default.
        limit: number of shapes to draw; other sources are thinned later, by `build.select`.
        seed: of drawn shapes.
        unlabelled: leave classes out.
        label_column: where an hf source or a file of labels has them, None to look for them.
        labels: file with the labels of an image folder, "folders" for its class folders, None to look for them.
        download: let torchvision fetch what is missing.
        colour_profile: one of train.data.image.COLOUR_PROFILES, of encoded images.
        max_pixels: larger encoded images are bad.
    """

    source: str
    resolution: int
    split: str | None = None
    limit: int | None = None
    seed: int = 0
    unlabelled: bool = False
    label_column: str | None = None
    labels: str | None = None
    download: bool = False
    colour_profile: str = "convert"
    max_pixels: int = MAX_PIXELS

    @property
    def argument(self) -> str:
        """What follows the kind's name."""
        return self.source.partition(":")[2]

    @property
    def decode(self) -> Callable[[Path | IO[bytes]], Image.Image]:
        """What reads an encoded image as asked."""
        return partial(decode, colour_profile=self.colour_profile, max_pixels=self.max_pixels)


@dataclasses.dataclass(frozen=True)
class Item:
    """One image, not yet decoded; small enough to be sent to another process.

    Args:
        name: what reports call it.
        load: gives RGB or raises BadImageError; a `partial` of a module's function, for it is pickled.
        size: gives width and height of what `load` gives, faster and likewise; None where `load` is fast enough.
    """

    name: str
    load: Callable[[], Image.Image]
    size: Callable[[], tuple[int, int]] | None = None


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
        encoded: whether the images are files to decode, so that it matters how.
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
    encoded: bool = True


def arrays_source(
    images: np.ndarray, labels: np.ndarray | None, class_names: list[str], name: str, fit: str = "resize"
) -> Source:
    """Make a source of pixels that are in memory or memory-mapped.

    Args:
        images: (N, H, W) or (N, H, W, 3) uint8.
        labels: (N,) integers, None for images without classes.
        class_names: as for `Source`, but not read without `labels`.
        name: what reports call the whole; image i is `name[i]`.
    """
    if labels is None:
        labels, class_names = np.zeros(len(images), np.int64), []
    labels = np.asarray(labels, dtype=np.int64)

    def items(indices: np.ndarray) -> list[Item]:
        return [Item(f"{name}[{i}]", partial(from_pixels, np.ascontiguousarray(images[i]))) for i in indices.tolist()]

    digest = hashlib.sha256(labels.tobytes())
    for start in range(0, len(images), 4096):  # a memory-mapped array may be larger than memory
        digest.update(np.ascontiguousarray(images[start : start + 4096]).data)
    return Source(class_names, None, labels, items, digest.hexdigest(), fit=fit, encoded=False)


def from_pixels(pixels: np.ndarray) -> Image.Image:
    """Return (H, W) or (H, W, 3) uint8 pixels as RGB; grey pixels get three equal channels."""
    return to_rgb(Image.fromarray(pixels))


def printable(path: Path | str) -> str:
    """Return a path as text that any terminal and UTF-8 file takes, whatever bytes its name has."""
    return os.fsencode(path).decode("utf-8", "replace")
