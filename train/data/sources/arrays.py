"""`arrays:DIR`: a folder of `<split>_images.npy`, `<split>_labels.npy` and `class_names.json`."""

from pathlib import Path

import numpy as np

from sngan_cond.npy import map_npy
from sngan_cond.stored import read_json
from train.data.sources.base import Source, SourceRequest, arrays_source, printable
from train.errors import DataError


def arrays(request: SourceRequest) -> Source:
    """Open the arrays of a split, train by default; unlabelled, the labels stay unread.

    Raises:
        DataError: if a file is missing or damaged, or the arrays do not fit each other.
    """
    folder, split = Path(request.argument).expanduser(), request.split or "train"
    images = _load(folder / f"{split}_images.npy")
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
        raise DataError(
            f"{printable(folder)}/{split}_images.npy: array is {images.shape} {images.dtype}; "
            "allowed is (N, H, W, 3) or (N, H, W) uint8"
        )
    if request.unlabelled:
        return arrays_source(images, None, [], f"{split}_images")
    labels, names = _load(folder / f"{split}_labels.npy"), _class_names(folder / "class_names.json")
    if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{printable(folder)}/{split}_labels.npy: array is {labels.shape} {labels.dtype}; "
            f"allowed is ({len(images)},) integers"
        )
    return arrays_source(images, labels, names, f"{split}_images")


def _load(path: Path) -> np.ndarray:
    try:
        return map_npy(path)
    except FileNotFoundError as error:
        raise DataError(f"--source arrays: {printable(path)} is missing") from error
    except (OSError, ValueError) as error:
        raise DataError(f"--source arrays: {printable(path)} is not a whole array ({error})") from error


def _class_names(path: Path) -> list[str]:
    names = read_json(path, object, error=DataError, name=f"--source arrays: {printable(path)}")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise DataError(f"--source arrays: {printable(path)} is no list of class names")
    return names
