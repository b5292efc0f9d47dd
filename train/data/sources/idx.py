"""MNIST's idx files, compressed or not, wherever below a folder people keep them."""

import gzip
import zlib
from pathlib import Path

import numpy as np

from train.data.sources.base import printable
from train.errors import DataError

PREFIXES = {"train": "train", "test": "t10k"}
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
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{printable(path)}: cannot be read ({error})") from error
    header = 4 + 4 * dimensions
    if len(content) < header or content[:4] != bytes([0, 0, UINT8, dimensions]):
        raise DataError(f"{printable(path)}: starts with {content[:4].hex()}, allowed is 000008{dimensions:02x} (idx)")
    shape = tuple(np.frombuffer(content, ">u4", dimensions, 4).tolist())
    expected = int(np.prod(shape, dtype=np.int64))
    if len(content) != header + expected:
        raise DataError(
            f"{printable(path)}: holds {len(content) - header} bytes, its header {shape} asks for {expected}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
