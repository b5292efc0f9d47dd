"""The end of a preparation: close the gaps of bad pictures, hash, describe, rename. Safe to be killed and repeated."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from train.data.dataset import sha256_of
from train.data.info import IMAGES_NAME, INFO_NAME, LABELS_NAME, DatasetInfo
from train.data.partial import Partial, npy_header, write_whole
from train.data.picture import REASONS
from train.data.sources.base import Source
from train.data.workers import BadImage
from train.errors import DataError

SKIPPED_NAME = "skipped.tsv"
EXAMPLES_NAMED = 20


def finish(
    partial: Partial, source: Source, chosen: np.ndarray, bad: list[BadImage], plan: dict[str, Any], out: Path
) -> None:
    """Turn the full image file into a prepared data set under its final name.

    Args:
        partial: with every chunk made.
        source: for labels and class names.
        chosen: (M,) indices of the pictures in row order.
        bad: rows to be dropped.
        plan: for dataset.json.
        out: the final folder.
    Raises:
        DataError: if a class is left without a picture; the work folder is deleted, for repeating it is useless.
    """
    labels = source.labels[chosen].copy()
    moves, kept = gap_moves(len(labels), [image.row for image in bad])
    for origin, gap in moves:
        labels[gap] = labels[origin]
    labels = labels[:kept]
    counts = np.bincount(labels, minlength=len(source.class_names))
    if kept == 0 or (source.class_names and (counts == 0).any()):
        partial.discard()
        what = f"class {source.class_names[int((counts == 0).argmax())]!r}" if source.class_names else "the source"
        why = ", ".join(f"{number} {reason}" for reason, number in _by_reason(bad).items() if number)
        first = f"{bad[0].name}: {bad[0].reason} ({bad[0].detail})"
        raise DataError(f"--source: no usable picture is left in {what}; skipped {why}, the first {first}")
    _close_gaps(partial.images, moves, kept, plan["resolution"])
    np.save(partial.data / LABELS_NAME, labels)
    if bad:
        rows = "".join(f"{image.name}\t{image.reason}\t{image.detail}\n" for image in bad)
        write_whole(partial.data / SKIPPED_NAME, "file\treason\tdetail\n" + rows)
    _describe(partial, source, counts, bad, plan, kept)
    for path in partial.data.iterdir():
        _sync(path)
    _sync(partial.data)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial.data.rename(out)
    _sync(out.parent)


def gap_moves(total: int, bad_rows: list[int]) -> tuple[list[tuple[int, int]], int]:
    """Plan how the last good rows fill the gaps, so that a few skipped pictures do not shift a large file.

    Args:
        total: rows in the file.
        bad_rows: rows to be dropped.
    Returns:
        (origin, gap) pairs with every origin >= kept > every gap, so repeating them changes nothing; and kept, the
        number of good rows.
    """
    dropped = set(bad_rows)
    kept = total - len(dropped)
    origins = (row for row in range(kept, total) if row not in dropped)
    gaps = (row for row in sorted(dropped) if row < kept)
    return list(zip(origins, gaps, strict=True)), kept


def _close_gaps(path: Path, moves: list[tuple[int, int]], kept: int, side_px: int) -> None:
    header, row_bytes = npy_header(kept, side_px), side_px * side_px * 3
    if path.stat().st_size == len(header) + kept * row_bytes and moves:
        return  # cut to its final size by an earlier attempt, so the moves were made
    with path.open("r+b") as file:
        for origin, gap in moves:
            file.seek(len(header) + origin * row_bytes)
            row = file.read(row_bytes)
            file.seek(len(header) + gap * row_bytes)
            file.write(row)
        file.seek(0)
        file.write(header)
        file.flush()
        os.fsync(file.fileno())
        file.truncate(len(header) + kept * row_bytes)  # last: the origins go


def _by_reason(bad: list[BadImage]) -> dict[str, int]:
    counter = Counter(image.reason for image in bad)
    return {reason: counter[reason] for reason in REASONS}


def _describe(
    partial: Partial, source: Source, counts: np.ndarray, bad: list[BadImage], plan: dict[str, Any], kept: int
) -> None:
    total = sum((partial.data / name).stat().st_size for name in (IMAGES_NAME, LABELS_NAME))
    with tqdm(total=total, unit="B", unit_scale=True, desc="sha256", leave=False) as progress:
        digests = {name: sha256_of(partial.data / name, progress.update) for name in (IMAGES_NAME, LABELS_NAME)}
    examples = [{"file": image.name, "reason": image.reason, "detail": image.detail} for image in bad[:EXAMPLES_NAMED]]
    DatasetInfo(
        **plan,
        count=kept,
        class_names=source.class_names,
        class_ids=source.class_ids,
        images_per_class=counts.tolist() if source.class_names else [],
        sha256=digests,
        skipped={"total": len(bad), "by_reason": _by_reason(bad), "examples": examples},
    ).write(partial.data / INFO_NAME)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
