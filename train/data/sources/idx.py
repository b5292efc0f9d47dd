"""MNIST's idx files, compressed or not, wherever below a folder people keep them."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from sngan_cond.stored import open_regular
from train.data.sources.base import printable
from train.errors import DataError

PREFIXES = {"train": "train", "test": "t10k"}
MAX_BYTES = 1 << 30  # of an array; MNIST's largest has 47 million
UINT8 = 8  # the idx code of the only element type that the MNIST family uses


def find_idx(root: Path, name: str, split: str) -> tuple[Path, Path] | None:
    """Find the image and label file of a split in ROOT, ROOT/raw or ROOT/NAME/raw.

    Args:
        name: torchvision's name of the data set.
        split: train or test.
    Returns:
        The two paths, or None if no folder has both.
    """
    for folder in (root, root / "raw", root / name / "raw"):
        images, labels = (
            [path for end in ("", ".gz") if (path := folder / f"{PREFIXES[split]}-{kind}-ubyte{end}").is_file()]
            for kind in ("images-idx3", "labels-idx1")
        )
        if images and labels:
            return images[0], labels[0]
    return None


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read an idx file of unsigned bytes (format: yann.lecun.com/exdb/mnist).

    Args:
        path: `.gz` is decompressed in memory.
        dimensions: how many the array must have.
    Returns:
        uint8 array of the header's shape.
    Raises:
        DataError: if the file is unreadable, cut short, or of another kind.
    """
    start = 4 + 4 * dimensions
    try:
        with open_regular(path) as raw:
            file = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
            head = file.read(start)
            if len(head) < start or head[:4] != bytes([0, 0, UINT8, dimensions]):
                what = f"starts with {head[:4].hex()}, allowed is 000008{dimensions:02x} (idx)"
                raise DataError(f"{printable(path)}: {what}")
            shape = tuple(np.frombuffer(head, ">u4", dimensions, 4).tolist())
            expected = math.prod(shape)
            if max(expected, *shape) > MAX_BYTES:
                raise DataError(f"{printable(path)}: its header asks for {expected:,} bytes, {MAX_BYTES:,} are allowed")
            content = file.read(expected + 1)  # one more, which there must not be
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{printable(path)}: cannot be read ({error})") from error
    if len(content) != expected:
        held = f"more than {expected}" if len(content) > expected else len(content)
        raise DataError(f"{printable(path)}: holds {held} bytes, its header {shape} asks for {expected}")
    return np.frombuffer(content, np.uint8).reshape(shape)
