"""`torchvision:NAME[:ROOT]`: the small data sets of the papers, through torchvision's readers."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sngan_cond.validation import nearest, one_line
from train.data.image import size_of
from train.data.sources.base import Item, Source, SourceRequest, arrays_source, printable
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
Labelled = tuple[np.ndarray, np.ndarray | None, list[str]]  # images, labels and class names


def torchvision_set(request: SourceRequest) -> Source:
    """Open one of SPLITS[NAME] of one of torchvision's data sets, train by default.

    ROOT is where torchvision keeps it, or downloads it to; for MNIST and FashionMNIST it may also hold the idx files
    themselves, compressed or not. STL10's unlabelled splits and CelebA have no classes.

    Raises:
        DataError: if the name or split is unknown, or the files are missing or damaged.
    """
    name, _, root = request.argument.partition(":")
    if name not in SPLITS:
        known = {known.lower(): known for known in SPLITS}
        near = nearest(name.lower(), known)
        hint = f"; did you mean {known[near]}?" if near else ""
        raise DataError(f"--source torchvision: {name!r} is unknown; allowed are {', '.join(SPLITS)}{hint}")
    split = request.split or "train"
    if split not in SPLITS[name]:
        raise DataError(f"--split is {split!r}; allowed for {name} are {', '.join(SPLITS[name])}")
    folder = Path(root or DEFAULT_ROOT).expanduser()
    if name == "CelebA":
        return _celeba(folder, split, request)
    read, fit = (_mnist_like, "pad") if name.endswith("MNIST") else (_pixels, "resize")
    images, labels, names = read(name, folder, split, request.download)
    return arrays_source(images, None if request.unlabelled else labels, names, name, fit)


def _load(name: str, folder: Path, download: bool, options: dict[str, Any]) -> Any:
    """Construct torchvision's data set, and turn its errors into one line."""
    try:
        from torchvision import datasets
    except ImportError as error:
        raise DataError("--source torchvision: needs the package torchvision; pip install torchvision") from error
    try:
        return getattr(datasets, name)(root=folder, download=download, **options)
    except ImportError as error:  # SVHN's files are MATLAB's, CelebA's lie on Google Drive
        missing = error.name or f"named in: {error}"
        raise DataError(f"--source torchvision: {name} needs the package {missing}; pip install {missing}") from error
    except (RuntimeError, OSError) as error:
        what = f"is missing or damaged in {printable(folder)}; to fetch it pass --download"
        if download:
            what = f"could not be fetched into {printable(folder)} ({one_line(error)})"
        raise DataError(f"--source torchvision: {name} {what}") from error


def _mnist_like(name: str, folder: Path, split: str, download: bool) -> Labelled:
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

    return images, labels, list(getattr(datasets, name).classes)


def _pixels(name: str, folder: Path, split: str, download: bool) -> Labelled:
    """CIFAR-10, CIFAR-100, STL-10 and SVHN, which torchvision holds as arrays."""
    by_flag = name.startswith("CIFAR")
    loaded = _load(name, folder, download, {"train": split == "train"} if by_flag else {"split": split})
    images = loaded.data if by_flag else loaded.data.transpose(0, 2, 3, 1)  # (N, H, W, 3)
    labels = np.asarray(loaded.targets if by_flag else loaded.labels)
    names = [str(digit) for digit in range(10)] if name == "SVHN" else list(loaded.classes)
    return images, None if "unlabeled" in split else labels, names


def _celeba(folder: Path, split: str, request: SourceRequest) -> Source:
    """CelebA, without classes; the face is in the middle 128 px of its 178 x 218."""
    names = list(_load("CelebA", folder, request.download, {"split": split}).filename)
    files = folder / "celeba" / "img_align_celeba"

    def items(indices: np.ndarray) -> list[Item]:
        paths = [files / names[i] for i in indices.tolist()]
        return [Item(path.name, partial(request.decode, path), partial(size_of, path)) for path in paths]

    listing = hashlib.sha256("\0".join(names).encode()).hexdigest()
    return Source([], None, np.zeros(len(names), np.int64), items, listing, crop="center:128")
