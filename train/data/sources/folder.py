"""`imagefolder:PATH`: a sub-folder for each class, as ImageNet is laid out."""

import hashlib
import os
from functools import partial
from pathlib import Path

import numpy as np

from train.data.image import decode
from train.data.sources.base import Item, Source, SourceRequest, printable
from train.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
SPLIT_NAMES = {"train", "training", "val", "valid", "validation", "test", "testing", "dev"}


def imagefolder(request: SourceRequest) -> Source:
    """List the images below PATH, or below PATH/SPLIT; unlabelled, every image below, in no class.

    Classes are the sub-folders in sorted order (which for WordNet ids is ImageNet's order); images are sorted within
    them and may lie deeper. Names that start with a dot are left out.

    Raises:
        DataError: if the folder is missing or empty, holds splits instead of classes, or a class has no image.
    """
    top = Path(request.argument)
    root = top / request.split if request.split else top
    if not root.is_dir():
        hint = f"; {printable(request.argument)} holds {_some(_folders(top))}" if request.split and top.is_dir() else ""
        raise DataError(f"--source imagefolder: {printable(root)} is no folder{hint}")
    classes = [""] if request.unlabelled else _folders(root)
    if not classes:
        raise DataError(f"--source imagefolder: {printable(root)} holds no class sub-folder (or pass --unlabelled)")
    if not request.unlabelled and {name.lower() for name in classes} <= SPLIT_NAMES:
        raise DataError(f"--source imagefolder: {printable(root)} holds splits, not classes; pass --split {classes[0]}")
    files: list[str] = []
    labels: list[int] = []
    others = 0
    for label, name in enumerate(classes):
        found, left_out = _image_files(root / name)
        if not found:
            raise DataError(f"--source imagefolder: {printable(root / name)} holds no image ({', '.join(SUFFIXES)})")
        files += found
        labels += [label] * len(found)
        others += left_out

    def items(indices: np.ndarray) -> list[Item]:
        paths = [Path(files[i]) for i in indices.tolist()]
        return [Item(printable(path.relative_to(root)), partial(decode, path)) for path in paths]

    relative = "\0".join(os.path.relpath(file, root) for file in files)
    listing = hashlib.sha256(os.fsencode(relative) + bytes(np.array(labels))).hexdigest()
    names, ids = ([], None) if request.unlabelled else class_names(classes)
    remarks = (f"{others} files without an image's suffix were left out",) if others else ()
    return Source(names, ids, np.array(labels, np.int64), items, listing, min_side_px=None, remarks=remarks)


def _folders(root: Path) -> list[str]:
    """Return the visible sub-folders in sorted order."""
    return sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith("."))


def _some(names: list[str]) -> str:
    return ", ".join(map(printable, names[:5])) + (", ..." if len(names) > 5 else "") or "no sub-folder"


def _image_files(folder: Path) -> tuple[list[str], int]:
    """Return the sorted image files below a folder, and how many other files there are."""
    found, others = [], 0
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.startswith("."):
                continue
            if name.lower().endswith(SUFFIXES):
                found.append(os.path.join(parent, name))  # noqa: PTH118 -- a million Path objects cost seconds
            else:
                others += 1
    return sorted(found), others


def class_names(folders: list[str]) -> tuple[list[str], list[str] | None]:
    """Return class names and WordNet ids; folders named by WordNet ids of ImageNet get the names of their classes."""
    from sngan_cond.classes import imagenet_classes  # here, for worker processes import this module too

    names, ids = imagenet_classes()
    known = dict(zip(ids, names, strict=True))
    if all(folder in known for folder in folders):
        return [known[folder] for folder in folders], folders
    return [printable(folder) for folder in folders], None
