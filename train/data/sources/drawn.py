"""`shapes[:CLASSES]`: images that are drawn, not read."""

import dataclasses
import hashlib

import numpy as np
from PIL import Image

from train.data.shapes import MAX_CLASSES, SHAPES, SPLITS, ShapeClasses, draw
from train.data.sources.base import Item, Source
from train.errors import DataError

DEFAULT_COUNT = 10_000
MAX_COUNT = 10_000_000  # their labels are held in memory
DRAWING = 1  # to be raised when `draw` gives other pixels for the same key


@dataclasses.dataclass(frozen=True)
class ShapeItem:
    """An image that its worker draws."""

    name: str
    classes: ShapeClasses
    label: int
    side_px: int
    key: tuple[int, int, int]

    def read(self) -> Image.Image:
        """Draw it."""
        return Image.fromarray(draw(self.classes, self.label, side_px=self.side_px, key=self.key))


def shapes(
    argument: str, *, split: str | None, unlabelled: bool, resolution: int, limit: int | None, seed: int
) -> Source:
    """List drawn images; the classes take turns, so that all have equally many.

    Args:
        argument: number of classes, empty for one class for each shape.
        split: train (also None) or test: two streams that have no image in common.
        unlabelled: draw the same images, without classes.
        resolution: side in pixels at which they are drawn.
        limit: number of images, None for 10,000.
        seed: image i is a function of (seed, split, i).
    Raises:
        DataError: if the number of classes, the split or the seed is out of range.
    """
    if argument and not (argument.isdecimal() and 1 <= int(argument) <= MAX_CLASSES):
        raise DataError(f"--source shapes: number of classes is {argument!r}; allowed is 1 to {MAX_CLASSES}")
    if split not in (None, *SPLITS):
        raise DataError(f"--split is {split!r}; allowed for shapes are {', '.join(SPLITS)}")
    if limit is not None and limit > MAX_COUNT:
        raise DataError(f"--limit is {limit}; allowed for shapes is 1 to {MAX_COUNT}")
    if seed < 0:
        raise DataError(f"--seed is {seed}; allowed is 0 or more")
    classes = ShapeClasses(int(argument) if argument else len(SHAPES))
    stream = SPLITS.index(split or "train")
    turns = np.arange(limit or DEFAULT_COUNT) % classes.count

    def items(indices: np.ndarray) -> list[Item]:
        return [
            ShapeItem(f"shapes[{i}]", classes, int(turns[i]), resolution, (seed, stream, i)) for i in indices.tolist()
        ]

    # "pictures" stays: the text is hashed into listing_sha256 of every set of shapes that was ever prepared.
    identity = f"drawing {DRAWING}, {classes.count} classes, seed {seed}, stream {stream}, {len(turns)} pictures"
    names = [] if unlabelled else [classes.name(label) for label in range(classes.count)]
    labels = np.zeros_like(turns) if unlabelled else turns
    return Source(names, None, labels, items, hashlib.sha256(identity.encode()).hexdigest())
