"""`hf:REPO[:CONFIG]`: any data set of images and labels on the Hugging Face Hub, through the `datasets` package."""

import hashlib
import io
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sngan_cond.validation import one_line
from train.data.image import size_of
from train.data.sources.base import Item, Source, SourceRequest
from train.errors import DataError


def hub_dataset(request: SourceRequest) -> Source:
    """Open a split of a data set, train by default; images stay encoded until a worker decodes them.

    REPO may be a local folder that `datasets` understands. Labels are looked for in the one column of class labels, or
    one named label; unlabelled, they stay unread.

    Raises:
        DataError: if the package is absent, the data set cannot be loaded, or its columns are ambiguous.
    """
    try:
        import datasets
    except ImportError as error:
        raise DataError("--source hf: needs the package datasets; pip install datasets") from error
    repo, _, config = request.argument.partition(":")
    try:
        table = datasets.load_dataset(repo, name=config or None, split=request.split or "train")
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"--source hf: {repo} cannot be loaded ({one_line(error)})") from error
    column = _image_column(datasets, table, repo)
    table = table.cast_column(column, datasets.Image(decode=False))

    def items(indices: np.ndarray) -> list[Item]:
        cells = table.select(indices)[column]
        # A cell holds the encoded bytes of its image, or the path of its file.
        files = [Path(cell["path"]) if cell["bytes"] is None else io.BytesIO(cell["bytes"]) for cell in cells]
        reads = [(partial(request.decode, file), partial(size_of, file)) for file in files]
        return [Item(f"{repo}[{i}]", *read) for i, read in zip(indices.tolist(), reads, strict=True)]

    listing = hashlib.sha256(f"{repo} {config} {table._fingerprint} {len(table)}".encode()).hexdigest()
    names, labels = [], np.zeros(len(table), np.int64)
    if not request.unlabelled:
        names, labels = _labels(datasets, table, repo, request.label_column)
    return Source(names, None, labels, items, listing, min_side_px=None)


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
