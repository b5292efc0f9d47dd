"""`hf:REPO[:CONFIG]`: any data set of images and labels on the Hugging Face Hub, through the `datasets` package."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from train.data.sources.base import BytesItem, FileItem, Item, Source
from train.errors import DataError


def hub_dataset(argument: str, *, split: str | None, unlabelled: bool, label_column: str | None) -> Source:
    """Open a split of a data set; images stay encoded until a worker decodes them.

    Args:
        argument: `REPO` or `REPO:CONFIG`; REPO may be a local folder that `datasets` understands.
        split: the split's name, train if None.
        unlabelled: leave the labels unread.
        label_column: where the labels are; None looks for the one column of class labels, or one named label.
    Raises:
        DataError: if the package is absent, the data set cannot be loaded, or its columns are ambiguous.
    """
    try:
        import datasets
    except ImportError as error:
        raise DataError("--source hf: needs the package datasets; pip install datasets") from error
    repo, _, config = argument.partition(":")
    try:
        table = datasets.load_dataset(repo, name=config or None, split=split or "train")
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"--source hf: {repo} cannot be loaded ({' '.join(str(error).split())})") from error
    column = _image_column(datasets, table, repo)
    table = table.cast_column(column, datasets.Image(decode=False))

    def items(indices: np.ndarray) -> list[Item]:
        cells = table.select(indices)[column]
        return [_item(f"{repo}[{i}]", cell) for i, cell in zip(indices.tolist(), cells, strict=True)]

    listing = hashlib.sha256(f"{repo} {config} {table._fingerprint} {len(table)}".encode()).hexdigest()
    if unlabelled:
        return Source([], None, np.zeros(len(table), np.int64), items, listing, min_side_px=None)
    names, labels = _labels(datasets, table, repo, label_column)
    return Source(names, None, labels, items, listing, min_side_px=None)


def _item(name: str, cell: dict[str, Any]) -> Item:
    """A cell holds the encoded bytes of its image, or the path of its file."""
    if cell["bytes"] is not None:
        return BytesItem(name, cell["bytes"])
    return FileItem(name, Path(cell["path"]))


def _image_column(datasets: Any, table: Any, repo: str) -> str:
    found = [name for name, feature in table.features.items() if isinstance(feature, datasets.Image)]
    if len(found) > 1 and "image" in found:
        found = ["image"]
    if len(found) != 1:
        raise DataError(f"--source hf: {repo} has {len(found)} columns of images; allowed is one, or one named image")
    return found[0]


def _labels(datasets: Any, table: Any, repo: str, asked: str | None) -> tuple[list[str], np.ndarray]:
    """Return class names and labels from the column that was asked for, or the only one of class labels."""
    candidates = [name for name, feature in table.features.items() if isinstance(feature, datasets.ClassLabel)]
    column = asked or ("label" if "label" in candidates else candidates[0] if len(candidates) == 1 else None)
    if column is None or column not in table.features:
        what = f"--label-column is {asked!r}" if asked else f"--source hf: {repo} has {len(candidates)} label columns"
        raise DataError(f"{what}; pass --label-column with one of {', '.join(table.features)}, or --unlabelled")
    values = np.asarray(table.with_format(None)[column][:])
    if column in candidates:
        return list(table.features[column].names), values.astype(np.int64)
    if values.dtype.kind not in "iuU":
        raise DataError(f"--label-column is {column!r}, which holds {values.dtype}; allowed are integers and text")
    distinct, labels = np.unique(values, return_inverse=True)
    return [str(value) for value in distinct], labels.astype(np.int64)
