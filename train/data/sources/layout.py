"""How a folder of images is laid out: where in it they lie, and which class each is of."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from train.data.image import SUFFIXES
from train.data.sources.base import SourceRequest, printable
from train.data.sources.classes import class_remarks, in_label_order
from train.data.sources.files import Files
from train.data.sources.label_file import ENDINGS, WELL_KNOWN, labels_by_file
from train.data.sources.listing import Listed, Others, left_out, list_images, named_as_image
from train.errors import DataError

SPLIT_NAMES = {"train", "training", "val", "valid", "validation", "test", "testing", "dev"}
_AROUND_CLASSES = SPLIT_NAMES | {"images", "photos", "pictures", "data", "dataset"}
_CAMERA = re.compile("[1-9][0-9]{2}(?![0-9]{5})[0-9A-Z_]{5}", re.IGNORECASE)  # how cameras name folders: 100CANON
_FEW = 5  # names in a message


class Grouped(NamedTuple):
    """Images by class.

    Args:
        groups: class -> paths of its images; the class "" of images without one.
        by_file: whether a file says the classes, not the folders.
        remarks: what a user should know.
    """

    groups: Mapping[str, list[str]]
    by_file: bool
    remarks: list[str]


def entered(top: Files, split: str | None, *, pass_through: bool) -> tuple[Files, list[str]]:
    """Return the files of the split, if one is asked for, and a remark if they lie deeper than was said.

    Args:
        pass_through: also enter folders around all others, as unzip makes them.
    Raises:
        DataError: if there is no such split, or it is not clear whether folders are classes.
    """
    files, split = top, os.path.normpath(split or ".").replace("\\", "/")
    if split != ".":
        while split not in files.folders and (inner := _only_folder(files)):
            files = files.below(inner)
        if split not in files.folders:
            holds = _some(top.top_folders) or "no sub-folder"
            raise _error(top.where / split, f"is no folder; {printable(top.where)} holds {holds}")
        files = files.below(split)
    if pass_through:
        files = _unwrapped(files)
    as_said = files.prefix == ("" if split == "." else f"{split}/")
    return files, [] if as_said else [f"images are looked for in {printable(files.where)}"]


def _only_folder(files: Files) -> str | None:
    """Return the folder beside which there is no other one, no image and no file of labels."""
    beside = _holds_labels(files) or _holds_images(files)
    return files.top_folders[0] if len(files.top_folders) == 1 and not beside else None


def _holds_labels(files: Files) -> bool:
    return any(name in WELL_KNOWN for name in files.names)


def _holds_images(files: Files) -> bool:
    return any("/" not in name and named_as_image(name) for name in files.names)


def _unwrapped(files: Files) -> Files:
    """Enter folders around all others, as far as there are several or a file of labels; one with images is a class."""
    inner = files
    while name := _only_folder(inner):
        inner = inner.below(name)
    if inner is files or _holds_labels(inner):
        return inner
    if not inner.top_folders or _holds_images(inner):
        return files
    name, around = inner.where.name, inner.where.parent
    numbered = all(folder.isdecimal() for folder in inner.top_folders)
    if numbered and name.lower() not in _AROUND_CLASSES and not around.name.startswith(name):
        deeper = printable(inner.prefix.removeprefix(files.prefix).removesuffix("/"))
        what = f"holds one folder, {printable(name)}, of numbered folders"
        raise _error(around, f"{what}; pass --split {deeper} if these are classes, or --unlabelled")
    return inner


def grouped(top: Files, files: Files, request: SourceRequest) -> Grouped:
    """Find the class of every image.

    Args:
        top: all files of the source; those of labels may lie beside a split.
        files: where the images are.
    Raises:
        DataError: if it is not clear what the classes are, or one has no image.
    """
    listed = list_images(files)
    if request.unlabelled:
        if not listed.images:
            raise _error(files.where, _no_image(listed.others))
        found = Grouped({"": listed.images}, False, [])
    else:
        found = _by_class(top, files, listed, request)
    remarks = list(found.remarks)
    if not request.unlabelled:
        remarks += class_remarks(in_label_order(found.groups))
    if files.junk:
        remarks.append(f"left out as junk: folders named {_some(sorted(files.junk))}")
    by_folder = not (request.unlabelled or found.by_file)
    if others := _of_classes(listed.others) if by_folder else _of_all(listed.others):
        remarks.append(f"left out: {left_out(others)}")
    return found._replace(remarks=remarks)


def _of_classes(others: Others) -> Others:
    """Return those files that may have been meant as images of a class."""
    return Counter({(folder, end): count for (folder, end), count in others.items() if folder})


def _of_all(others: Others) -> Others:
    """Return files that are neither image nor label, without their folders, which say nothing there."""
    merged: Others = Counter()
    for (_, end), count in others.items():
        if end not in ENDINGS:
            merged["", end] += count
    return merged


def _by_class(top: Files, files: Files, listed: Listed, request: SourceRequest) -> Grouped:
    if request.labels is None:
        _refuse_splits(files)
    labels, remarks = labels_by_file(top, files, listed, request)
    if labels is None:
        if not files.top_folders:
            raise _without_classes(top, files, listed)
        groups, loose = _class_folders(files, listed)
        if loose:
            remarks.append(f"left out: {len(loose):,} images beside the class folders, the first {printable(loose[0])}")
        return Grouped(groups, False, remarks)
    by_label = defaultdict(list)
    for image, label in labels.items():
        by_label[label].append(image)
    return Grouped(by_label, True, remarks)


def _refuse_splits(files: Files) -> None:
    names = files.top_folders
    splits = [name for name in names if name.lower() in SPLIT_NAMES]
    if len(splits) > 1 or (splits and splits == names):
        best = next((name for name in splits if name.lower().startswith("train")), splits[0])
        raise _error(files.where, f"holds splits, not classes; pass --split {best}")


def _without_classes(top: Files, files: Files, listed: Listed) -> DataError:
    candidates = [name for name in top.names if "/" not in name and name.lower().endswith(ENDINGS)]
    advice = ""
    if listed.images:
        file = printable(candidates[0]) if candidates else "FILE"
        advice = f"; or give the labels of its {len(listed.images):,} images by --labels {file}"
    what = f"holds no class sub-folder (or pass --unlabelled){advice}{_seen(listed.others)}"
    return _error(files.where, what)


def _class_folders(files: Files, listed: Listed) -> tuple[dict[str, list[str]], list[str]]:
    """Return the images of each folder, and those beside the folders."""
    names = files.top_folders
    if "DCIM" in map(str.upper, (files.where.name, *names)) or all(map(_CAMERA.fullmatch, names)):
        advice = "sort the images into a folder for each class, or pass --labels FILE or --unlabelled"
        raise _error(files.where, f"holds a camera's folders ({_some(names)}), not classes; {advice}")
    groups: dict[str, list[str]] = {name: [] for name in names}
    loose = []
    for image in listed.images:
        folder, deeper, _ = image.partition("/")
        (groups[folder] if deeper else loose).append(image)
    if empty := [name for name in names if not groups[name]]:
        there = Counter({key: count for key, count in listed.others.items() if key[0] == empty[0]})
        more = f"; nor do {_some(empty[1:])}" if empty[1:] else ""
        full = [name for name in names if groups[name]]
        deeper = f", or pass --split {printable(full[0])} if the classes are in there" if len(full) == 1 else ""
        advice = f"; add images, or delete what is no class{deeper}"
        raise _error(files.where / empty[0], _no_image(there) + more + advice)
    return groups, loose


def _no_image(others: Others) -> str:
    return f"holds no image ({', '.join(SUFFIXES)}){_seen(others)}"


def _seen(others: Others) -> str:
    plain = Counter({("", end): 0 for _, end in others})
    for (_, end), count in others.items():
        plain["", end] += count
    return f"; it holds {left_out(plain)}" if plain else ""


def _error(where: Path, what: str) -> DataError:
    return DataError(f"--source imagefolder: {printable(where)} {what}")


def _some(names: list[str]) -> str:
    return ", ".join(map(printable, names[:_FEW])) + (", ..." if len(names) > _FEW else "")
