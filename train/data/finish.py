"""The end of a preparation: seal the image file, write the labels, hash, describe, rename.

It may be killed at any line. The next attempt repeats it from the start, which is safe because every step before the
rename either changes nothing the second time or writes its file anew. The rename is what makes the data set real:
before it there is no DIR, after it DIR is whole, and what is left of DIR.partial is deleted by the same command.
"""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from train.data.dataset import first_faults
from train.data.image import REASONS
from train.data.info import IMAGES_NAME, INFO_NAME, LABELS_NAME, DatasetInfo
from train.data.partial import Partial
from train.data.sources.base import Source
from train.data.workers import SKIPPED_NAME
from train.errors import DataError
from train.files import sync

EXAMPLES_NAMED = 20
HASH_BLOCK_BYTES = 1 << 24


def finish(partial: Partial, source: Source, labels: np.ndarray, out: Path) -> None:
    """Turn what every image has been made into a prepared data set under its final name.

    Args:
        partial: with every image made or found bad.
        source: where class names come from.
        labels: (M,) of the images chosen, good and bad.
    Raises:
        DataError: if a class is left without an image; the work folder is deleted, since repeating it is useless.
    """
    bad = partial.bad
    labels = np.delete(labels, [image.index for image in bad])
    _, empty = first_faults(labels, max(len(source.class_names), 1))
    if empty is not None:
        partial.discard()
        what = f"class {source.class_names[empty]!r}" if source.class_names else "the source"
        why = ", ".join(f"{number} {reason}" for reason, number in _by_reason(partial).items() if number)
        raise DataError(f"--source: no usable image is left in {what}; skipped {why}, the first {bad[0]}")
    partial.seal()
    # Not written atomically: the rename of the folder stands for all its files, and files left beside them by a kill
    # would become part of the data set.
    np.save(partial.data / LABELS_NAME, labels)
    if bad:
        lines = "".join(f"{image.name}\t{image.reason}\t{image.detail}\n" for image in bad)
        (partial.data / SKIPPED_NAME).write_text("file\treason\tdetail\n" + lines, encoding="utf-8")
    _describe(partial, source, labels)
    # A file system may write the rename to disk before the contents, so a power cut could leave DIR with empty files.
    for path in partial.data.iterdir():
        sync(path)
    sync(partial.data)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.exists():
        out.rmdir()  # an empty folder, which a rename replaces on POSIX but not on Windows
    partial.data.rename(out)
    sync(out.parent)


def _by_reason(partial: Partial) -> dict[str, int]:
    counter = Counter(image.reason for image in partial.bad)
    return {reason: counter[reason] for reason in REASONS}


def _describe(partial: Partial, source: Source, labels: np.ndarray) -> None:
    total = sum((partial.data / name).stat().st_size for name in (IMAGES_NAME, LABELS_NAME))
    with tqdm(total=total, unit="B", unit_scale=True, desc="sha256", leave=False) as progress:
        digests = {name: _sha256(partial.data / name, progress) for name in (IMAGES_NAME, LABELS_NAME)}
    examples = [
        {"file": image.name, "reason": image.reason, "detail": image.detail} for image in partial.bad[:EXAMPLES_NAMED]
    ]
    DatasetInfo(
        **partial.plan,
        count=len(labels),
        class_names=source.class_names,
        class_ids=source.class_ids,
        images_per_class=np.bincount(labels).tolist() if source.class_names else [],
        sha256=digests,
        skipped={"total": len(partial.bad), "by_reason": _by_reason(partial), "examples": examples},
    ).write(partial.data / INFO_NAME)


def _sha256(path: Path, progress: "tqdm[Any]") -> str:
    """Hash as `train.files.sha256` does, with a progress bar: the images of ImageNet take minutes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASH_BLOCK_BYTES):
            digest.update(block)
            progress.update(len(block))
    return digest.hexdigest()
