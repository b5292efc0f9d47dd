"""`torchvision:NAME[:ROOT]`: the small data sets of the papers, through torchvision's readers."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sngan_cond.validation import nearest
from train.data.sources.base import FileItem, Item, Source, arrays_source, printable
from train.data.sources.idx import find_idx, read_idx
from train.errors import DataError

DEFAULT_ROOT = "data/torchvision"
SPLITS = {
    "CIFAR10": ("train", "test"),
    "CIFAR100": ("train", "test"),
    "STL10": ("train", "test", "unlabeled", "train+unlabeled"),
    "SVHN": ("train", "test", "extra"),
    "FashionMNIST": ("train", "test"),
    "MNIST": ("train", "test"),
    "CelebA": ("train", "valid", "test", "all"),
}


def torchvision_set(argument: str, *, split: str | None, unlabelled: bool, download: bool) -> Source:
    """Open one of torchvision's data sets.

    Args:
        argument: `NAME` or `NAME:ROOT`; ROOT is where torchvision keeps it (default data/torchvision). For MNIST and
            FashionMNIST it may also hold the idx files themselves, compressed or not.
        split: one of SPLITS[NAME], train if None.
        unlabelled: leave the classes out. STL10's unlabelled splits and CelebA have none.
        download: fetch it into ROOT if it is not there.
    Raises:
        DataError: if the name or split is unknown, or the files are missing or damaged.
    """
    name, _, root = argument.partition(":")
    if name not in SPLITS:
        known = {known.lower(): known for known in SPLITS}
        near = nearest(name.lower(), known)
        hint = f"; did you mean {known[near]}?" if near else ""
        raise DataError(f"--source torchvision: {name!r} is unknown; allowed are {', '.join(SPLITS)}{hint}")
    split = split or "train"
    if split not in SPLITS[name]:
        raise DataError(f"--split is {split!r}; allowed for {name} are {', '.join(SPLITS[name])}")
    folder = Path(root or DEFAULT_ROOT)
    if name in ("MNIST", "FashionMNIST"):
        return _mnist_like(name, folder, split, unlabelled, download)
    if name == "CelebA":
        return _celeba(folder, split, download)
    return _pixels(name, folder, split, unlabelled, download)


def _load(name: str, folder: Path, download: bool, options: dict[str, Any]) -> Any:
    """Construct torchvision's data set, and turn its errors into one line."""
    try:
        from torchvision import datasets
    except ImportError as error:
        raise DataError("--source torchvision: needs the package torchvision; pip install torchvision") from error
    reader: Callable[..., Any] = getattr(datasets, name)
    try:
        return reader(root=folder, download=download, **options)
    except ImportError as error:  # SVHN's files are MATLAB's, CelebA's lie on Google Drive
        missing = error.name or f"named in: {error}"
        raise DataError(f"--source torchvision: {name} needs the package {missing}; pip install {missing}") from error
    except (RuntimeError, OSError) as error:
        if download:
            said = " ".join(str(error).split())
            raise DataError(
                f"--source torchvision: {name} could not be fetched into {printable(folder)} ({said})"
            ) from error
        raise DataError(
            f"--source torchvision: {name} is missing or damaged in {printable(folder)}; to fetch it pass --download"
        ) from error


def _mnist_like(name: str, folder: Path, split: str, unlabelled: bool, download: bool) -> Source:
    """MNIST and FashionMNIST: padded from 28 px by default, and read without torchvision's own copy of the files."""
    files = find_idx(folder, name, split)
    if files is None and download:
        _load(name, folder, True, {"train": split == "train"})
        files = find_idx(folder, name, split)
    if files is None:
        raise DataError(
            f"--source torchvision: {name} has no idx files in {printable(folder)} or its raw or {name}/raw; "
            "to fetch it pass --download"
        )
    images, labels = read_idx(files[0], 3), read_idx(files[1], 1)
    if len(images) != len(labels):
        raise DataError(
            f"{printable(files[1])}: holds {len(labels)} labels, {files[0].name} holds {len(images)} images"
        )
    from torchvision import datasets

    names = list(getattr(datasets, name).classes)
    return arrays_source(images, None if unlabelled else labels, [] if unlabelled else names, name, fit="pad")


def _pixels(name: str, folder: Path, split: str, unlabelled: bool, download: bool) -> Source:
    """CIFAR-10, CIFAR-100, STL-10 and SVHN, which torchvision holds as arrays."""
    by_flag = name.startswith("CIFAR")
    loaded = _load(name, folder, download, {"train": split == "train"} if by_flag else {"split": split})
    images = loaded.data if by_flag else loaded.data.transpose(0, 2, 3, 1)  # (N, H, W, 3)
    if unlabelled or "unlabeled" in split:
        return arrays_source(images, None, [], name)
    labels = np.asarray(loaded.targets if by_flag else loaded.labels)
    names = [str(digit) for digit in range(10)] if name == "SVHN" else list(loaded.classes)
    return arrays_source(images, labels, names, name)


def _celeba(folder: Path, split: str, download: bool) -> Source:
    """CelebA, without classes; the face is in the middle 128 px of its 178 x 218."""
    names = list(_load("CelebA", folder, download, {"split": split}).filename)
    files = folder / "celeba" / "img_align_celeba"

    def items(indices: np.ndarray) -> list[Item]:
        return [FileItem(names[i], files / names[i]) for i in indices.tolist()]

    listing = hashlib.sha256("\0".join(names).encode()).hexdigest()
    return Source([], None, np.zeros(len(names), np.int64), items, listing, crop="center:128")
