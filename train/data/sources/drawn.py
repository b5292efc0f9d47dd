"""`shapes[:CLASSES]`: images that are drawn, not read."""

import hashlib
from functools import partial

import numpy as np
from PIL import Image

from train.data.shapes import MAX_CLASSES, SHAPES, SPLITS, ShapeClasses, draw
from train.data.sources.base import Item, Source, SourceRequest
from train.errors import DataError

DEFAULT_COUNT = 10_000
MAX_COUNT = 10_000_000  # their labels are held in memory
DRAWING = 1  # to be raised when `draw` gives other pixels for the same key


def shapes(request: SourceRequest) -> Source:
    """List `limit` drawn images, of one class for each shape by default; the classes take turns.

    Image i is a function of (seed, split, i): the splits train, the default, and test have no image in common.
    Unlabelled, the same images are drawn, in no class.

    Raises:
        DataError: if the number of classes, the split or the seed is out of range.
    """
    argument, seed, limit = request.argument, request.seed, request.limit or DEFAULT_COUNT
    split = "train" if request.split is None else request.split
    if argument and not (argument.isdecimal() and 1 <= int(argument) <= MAX_CLASSES):
        raise DataError(f"--source shapes: number of classes is {argument!r}; allowed is 1 to {MAX_CLASSES}")
    if split not in SPLITS:
        raise DataError(f"--split is {split!r}; allowed for shapes are {', '.join(SPLITS)}")
    if limit > MAX_COUNT:
        raise DataError(f"--limit is {limit}; allowed for shapes is 1 to {MAX_COUNT}")
    if seed < 0:
        raise DataError(f"--seed is {seed}; allowed is 0 or more")
    classes = ShapeClasses(int(argument) if argument else len(SHAPES))
    stream = SPLITS.index(split)
    turns = np.arange(limit) % classes.count

    def items(indices: np.ndarray) -> list[Item]:
        return [
            Item(f"shapes[{i}]", partial(_drawn, classes, int(turns[i]), request.resolution, (seed, stream, i)))
            for i in indices.tolist()
        ]

    # "pictures" stays: the text is hashed into listing_sha256 of every set of shapes that was ever prepared.
    identity = f"drawing {DRAWING}, {classes.count} classes, seed {seed}, stream {stream}, {len(turns)} pictures"
    names = [] if request.unlabelled else [classes.name(label) for label in range(classes.count)]
    labels = np.zeros_like(turns) if request.unlabelled else turns
    return Source(names, None, labels, items, hashlib.sha256(identity.encode()).hexdigest(), encoded=False)


def _drawn(classes: ShapeClasses, label: int, side_px: int, key: tuple[int, ...]) -> Image.Image:
    return Image.fromarray(draw(classes, label, side_px=side_px, key=key))
