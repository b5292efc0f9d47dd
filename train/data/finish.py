"""The end of a preparation: close the gaps that bad images left, hash, describe, rename.

It may be killed at any line. The next attempt repeats it from the start, which is safe because every step before the
rename either changes nothing the second time or writes its file anew. The rename is what makes the data set real:
before it there is no DIR, after it DIR is whole, and what is left of DIR.partial is deleted by the same command.
"""

import hashlib
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from train.data.image import REASONS
from train.data.info import IMAGES_NAME, INFO_NAME, LABELS_NAME, DatasetInfo
from train.data.partial import Partial, npy_header
from train.data.sources.base import Source
from train.data.workers import BadImage
from train.errors import DataError
from train.files import sync

SKIPPED_NAME = "skipped.tsv"
EXAMPLES_NAMED = 20
HASH_BLOCK_BYTES = 1 << 24


def finish(
    partial: Partial, source: Source, chosen: np.ndarray, bad: list[BadImage], plan: dict[str, Any], out: Path
) -> None:
    """Turn the full image file into a prepared data set under its final name.

    Args:
        partial: with every chunk made.
        source: where labels and class names come from.
        chosen: (M,) indices into the source of the images in the file, in their order there.
        bad: the images to be dropped.
        plan: goes into dataset.json.
    Raises:
        DataError: if a class is left without an image; the work folder is deleted, since repeating it is useless.
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
        raise DataError(f"--source: no usable image is left in {what}; skipped {why}, the first {first}")
    _close_gaps(partial.images, moves, kept, plan["resolution"])
    # Not written atomically: the rename of the folder stands for all its files, and files left beside them by a kill
    # would become part of the data set.
    np.save(partial.data / LABELS_NAME, labels)
    if bad:
        lines = "".join(f"{image.name}\t{image.reason}\t{image.detail}\n" for image in bad)
        (partial.data / SKIPPED_NAME).write_text("file\treason\tdetail\n" + lines, encoding="utf-8")
    _describe(partial, source, counts, bad, plan, kept)
    # A file system may write the rename to disk before the contents, so a power cut could leave DIR with empty files.
    for path in partial.data.iterdir():
        sync(path)
    sync(partial.data)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.exists():
        out.rmdir()  # an empty folder, which a rename replaces on POSIX but not on Windows
    partial.data.rename(out)
    sync(out.parent)


def gap_moves(total: int, bad_rows: list[int]) -> tuple[list[tuple[int, int]], int]:
    """Plan how the last good rows fill the gaps, so that a few skipped images do not shift a file of many gigabytes.

    Args:
        total: number of rows in the file.
        bad_rows: the rows to be dropped.
    Returns:
        (origin, gap) pairs and the number `kept` of good rows. Every origin >= kept > every gap: no move overwrites
            what another reads, so they may be cut short and repeated.
    """
    dropped = set(bad_rows)
    kept = total - len(dropped)
    origins = (row for row in range(kept, total) if row not in dropped)
    gaps = (row for row in sorted(dropped) if row < kept)
    return list(zip(origins, gaps, strict=True)), kept


def _close_gaps(path: Path, moves: list[tuple[int, int]], kept: int, side_px: int) -> None:
    header, row_bytes = npy_header(kept, side_px), side_px * side_px * 3
    final_bytes = len(header) + kept * row_bytes
    if path.stat().st_size == final_bytes and moves:
        return  # an earlier attempt made the moves and cut the file, so there are no origins to read any more
    with path.open("r+b") as file:
        for origin, gap in moves:
            file.seek(len(header) + origin * row_bytes)
            row = file.read(row_bytes)
            file.seek(len(header) + gap * row_bytes)
            file.write(row)
        file.seek(0)
        file.write(header)
    sync(path)
    # Last, for the size is the mark that the moves are done. Cut before they were synced, a power cut could lose rows.
    os.truncate(path, final_bytes)


def _by_reason(bad: list[BadImage]) -> dict[str, int]:
    counter = Counter(image.reason for image in bad)
    return {reason: counter[reason] for reason in REASONS}


def _describe(
    partial: Partial, source: Source, counts: np.ndarray, bad: list[BadImage], plan: dict[str, Any], kept: int
) -> None:
    total = sum((partial.data / name).stat().st_size for name in (IMAGES_NAME, LABELS_NAME))
    with tqdm(total=total, unit="B", unit_scale=True, desc="sha256", leave=False) as progress:
        digests = {name: _sha256(partial.data / name, progress) for name in (IMAGES_NAME, LABELS_NAME)}
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


def _sha256(path: Path, progress: "tqdm[Any]") -> str:
    """Hash as `train.files.sha256` does, with a progress bar: the images of ImageNet take minutes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASH_BLOCK_BYTES):
            digest.update(block)
            progress.update(len(block))
    return digest.hexdigest()
