"""A prepared data set: two memory-mapped arrays and `dataset.json`, opened with every damage named."""

from pathlib import Path

import numpy as np

from sngan_cond.npy import map_npy
from train.data.info import IMAGES_NAME, INFO_NAME, LABELS_NAME, DatasetInfo
from train.errors import DataError
from train.files import sha256

PARTIAL_SUFFIX = ".partial"


class PreparedDataset:
    """Images of one size and their labels, ready for random access without decoding.

    Attributes:
        images: (N, R, R, 3) uint8, memory-mapped read-only, channels red, green, blue.
        labels: (N,) int64 in [0, num_classes); all 0 where there are no classes.
        info: the contents of dataset.json.
    """

    def __init__(self, folder: Path, images: np.ndarray, labels: np.ndarray, info: DatasetInfo) -> None:
        self.folder, self.images, self.labels, self.info = folder, images, labels, info

    @classmethod
    def open(cls, folder: str | Path, *, verify: bool = False) -> "PreparedDataset":
        """Open a folder that `python -m train.prepare` wrote.

        Args:
            folder: the `--out` of the preparation.
            verify: also recompute the sha256 of both arrays (reads every byte; seconds per gigabyte).
        Returns:
            The data set; its images are not read until they are asked for.
        Raises:
            DataError: if anything is missing, damaged or contradicts dataset.json.
        """
        folder = Path(folder)
        _check_folder(folder)
        info = DatasetInfo.read(folder / INFO_NAME)
        side = info.resolution
        images = _open_array(folder / IMAGES_NAME, (info.count, side, side, 3), np.dtype(np.uint8), mapped=True)
        labels = _open_array(folder / LABELS_NAME, (info.count,), np.dtype(np.int64), mapped=False)
        _check_labels(folder / LABELS_NAME, labels, info)
        dataset = cls(folder, images, labels, info)
        if verify:
            dataset.verify()
        return dataset

    def verify(self, *, images: bool = True) -> None:
        """Recompute the sha256 of the labels and the images, which reads every byte.

        Args:
            images: False leaves those out, which are nearly all bytes.
        Raises:
            DataError: if one is not what dataset.json says, or cannot be read.
        """
        for name in (LABELS_NAME, IMAGES_NAME) if images else (LABELS_NAME,):
            path, expected = self.folder / name, self.info.sha256[name]
            try:
                found = sha256(path)
            except OSError as error:
                raise DataError(f"{path}: cannot be read ({error.strerror})") from error
            if found != expected:
                raise DataError(f"{path}: sha256 is {found}, {INFO_NAME} says {expected}; the file has changed")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def resolution(self) -> int:
        """Side of every image in pixels."""
        return self.info.resolution

    @property
    def num_classes(self) -> int:
        """Number of classes; 0 for a set without labels."""
        return len(self.info.class_names)

    @property
    def class_names(self) -> list[str]:
        """Names in label order."""
        return self.info.class_names

    @property
    def class_ids(self) -> list[str] | None:
        """WordNet ids in label order, None where the source has none."""
        return self.info.class_ids


def count_classes(folder: str | Path) -> int:
    """Return the number of classes of a prepared data set, 0 without labels, before any array is opened.

    Raises:
        DataError: if there is no data set, or its dataset.json is damaged.
    """
    _check_folder(Path(folder))
    return len(DatasetInfo.read(Path(folder) / INFO_NAME).class_names)


def _check_folder(folder: Path) -> None:
    if folder.is_dir():
        for name in (INFO_NAME, IMAGES_NAME, LABELS_NAME):
            if not (folder / name).is_file():
                raise DataError(f"{folder}: holds no {name}; make a data set with python -m train.prepare")
    elif folder.exists():
        raise DataError(f"{folder}: is a file; allowed is the folder of a prepared data set")
    elif folder.with_name(folder.name + PARTIAL_SUFFIX).is_dir():
        raise DataError(f"{folder}: not yet whole; continue it with the same train.prepare command")
    else:
        raise DataError(f"{folder}: no such folder; make it with python -m train.prepare")


def _open_array(path: Path, shape: tuple[int, ...], dtype: np.dtype, *, mapped: bool) -> np.ndarray:
    try:
        array = map_npy(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a whole array ({error}); prepare the data set again") from error
    if array.shape != shape or array.dtype != dtype:
        raise DataError(f"{path}: array is {array.shape} {array.dtype}, {INFO_NAME} asks for {shape} {dtype}")
    if not array.flags.c_contiguous:
        raise DataError(f"{path}: its values are in Fortran's order, not C's; prepare the data set again")
    return array if mapped else np.array(array)


def _check_labels(path: Path, labels: np.ndarray, info: DatasetInfo) -> None:
    classes = max(len(info.class_names), 1)
    outside, empty = first_faults(labels, classes)
    if outside is not None:
        raise DataError(f"{path}: label {labels[outside]} at position {outside}; allowed is 0 to {classes - 1}")
    if empty is not None:
        raise DataError(f"{path}: class {empty} ({info.class_names[empty]!r}) has no image; allowed is at least one")
    for label, (found, expected) in enumerate(zip(np.bincount(labels), info.images_per_class, strict=False)):
        if found != expected:
            raise DataError(f"{path}: class {label} has {found} images, {INFO_NAME} says {expected}")


def first_faults(labels: np.ndarray, classes: int) -> tuple[int | None, int | None]:
    """Look for what no data set may have; of what there is none, None is returned.

    Returns:
        Position of the first label that is not in [0, classes), and the first class without an image.
    """
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        return int(outside.argmax()), None
    empty = np.bincount(labels, minlength=classes) == 0
    return None, int(empty.argmax()) if empty.any() else None
