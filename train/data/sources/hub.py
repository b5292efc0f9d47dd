"""`hf:REPO[:CONFIG]`: any data set of pictures and labels on the Hugging Face Hub, through the `datasets` package."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from train.data.sources.base import BytesItem, FileItem, Item, Source
from train.errors import DataError


def hub_dataset(argument: str, *, split: str | None, unlabelled: bool, label_column: str | None) -> Source:
    """Open a split of a data set; pictures stay encoded until a worker decodes them.

    Args:
        argument: `REPO` or `REPO:CONFIG`; REPO may be a local folder that `datasets` understands.
        split: the split's name, train if None.
        unlabelled: leave the labels unread.
        label_column: where the labels are; found by itself if there is one column of class labels.
    Raises:
        DataError: if the package is absent, the data set cannot be loaded, or its columns do not tell what is meant.
    """
    try:
        import datasets
    except ImportError as error:
        raise DataError("--source hf: needs the package datasets; pip install datasets") from error
    repo, _, config = argument.partition(":")
    try:
        rows = datasets.load_dataset(repo, name=config or None, split=split or "train")
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"--source hf: {repo} cannot be loaded ({' '.join(str(error).split())})") from error
    column = _image_column(datasets, rows, repo)
    rows = rows.cast_column(column, datasets.Image(decode=False))

    def items(indices: np.ndarray) -> list[Item]:
        cells = rows.select(indices)[column]
        return [_item(f"{repo}[{i}]", cell) for i, cell in zip(indices.tolist(), cells, strict=True)]

    listing = hashlib.sha256(f"{repo} {config} {rows._fingerprint} {len(rows)}".encode()).hexdigest()
    if unlabelled:
        return Source([], None, np.zeros(len(rows), np.int64), items, listing, min_side_px=None)
    names, labels = _labels(datasets, rows, repo, label_column)
    return Source(names, None, labels, items, listing, min_side_px=None)


def _item(name: str, cell: dict[str, Any]) -> Item:
    """A picture cell holds its encoded bytes, or the path of a file that does."""
    if cell["bytes"] is not None:
        return BytesItem(name, cell["bytes"])
    return FileItem(name, Path(cell["path"]))


def _image_column(datasets: Any, rows: Any, repo: str) -> str:
    found = [name for name, feature in rows.features.items() if isinstance(feature, datasets.Image)]
    if len(found) > 1 and "image" in found:
        found = ["image"]
    if len(found) != 1:
        raise DataError(f"--source hf: {repo} has {len(found)} columns of pictures; allowed is one, or one named image")
    return found[0]


def _labels(datasets: Any, rows: Any, repo: str, asked: str | None) -> tuple[list[str], np.ndarray]:
    """Class names and labels from the column that was asked for, or the only one of class labels."""
    candidates = [name for name, feature in rows.features.items() if isinstance(feature, datasets.ClassLabel)]
    column = asked or ("label" if "label" in candidates else candidates[0] if len(candidates) == 1 else None)
    if column is None or column not in rows.features:
        what = f"--label-column is {asked!r}" if asked else f"--source hf: {repo} has {len(candidates)} label columns"
        raise DataError(f"{what}; pass --label-column with one of {', '.join(rows.features)}, or --unlabelled")
    values = np.asarray(rows.with_format(None)[column][:])
    if column in candidates:
        return list(rows.features[column].names), values.astype(np.int64)
    if values.dtype.kind not in "iuU":
        raise DataError(f"--label-column is {column!r}, which holds {values.dtype}; allowed are integers and text")
    distinct, labels = np.unique(values, return_inverse=True)
    return [str(value) for value in distinct], labels.astype(np.int64)
