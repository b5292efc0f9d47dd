"""Preparing a data set: plan, chunks, and the one rename that makes it real."""

import dataclasses
import errno
import hashlib
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL
from tqdm import tqdm

from train.data.dataset import PreparedDataset, first_faults
from train.data.image import REASONS, Fitting, heif_version
from train.data.info import IMAGES_NAME, INFO_NAME, LABELS_NAME, DatasetInfo, counted
from train.data.partial import Partial, first_difference
from train.data.sources.base import EARLIER_READING, Source, SourceRequest
from train.data.workers import make_chunks
from train.errors import DataError
from train.files import sync

SKIPPED_NAME = "skipped.tsv"
EXAMPLES_NAMED = 20
HASH_BLOCK_BYTES = 1 << 24


@dataclasses.dataclass(frozen=True)
class Request:
    """Everything but the images themselves that decides the result.

    Args:
        on_bad_image: `skip` leaves out and reports images that cannot be used, `fail` stops at the first.
    """

    source: SourceRequest
    fitting: Fitting
    on_bad_image: Literal["skip", "fail"] = "skip"

    def plan(self, source: Source, count: int) -> dict[str, Any]:
        """Return what two preparations must have in common to give the same bytes."""
        asked, fitting = dataclasses.asdict(self.source), dataclasses.asdict(self.fitting)
        del asked["download"]
        reading = {name: asked.pop(name) for name in EARLIER_READING} | {"pillow_heif": heif_version()}
        return {
            **{name: asked.pop(name) for name in ("source", "split", "resolution")},
            "preparation": {
                **{name: value for name, value in fitting.items() if name != "resolution"},
                "on_bad_image": self.on_bad_image,
                **asked,
                "exif_orientation": "applied",
                **(reading if source.encoded else {}),
                "pictures_listed": count,
                "listing_sha256": source.listing,
                "pillow": PIL.__version__,
            },
        }


def select(labels: np.ndarray, limit: int | None) -> np.ndarray:
    """Choose images so that classes stay as even as they can be.

    Args:
        labels: (N,) of all images.
        limit: how many to choose, None for all.
    Returns:
        Sorted indices of the first image of every class, then the second of every class, ... up to the limit.
    """
    if limit is None or limit >= len(labels):
        return np.arange(len(labels))
    by_class = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[by_class], labels[by_class])  # where each one's class begins in by_class
    turn = np.empty(len(labels), np.int64)
    turn[by_class] = np.arange(len(labels)) - starts  # how many of its class come before it
    return np.sort(np.lexsort((labels, turn))[:limit])


def build(source: Source, request: Request, out: Path, *, workers: int) -> bool:
    """Make the prepared data set `out`, or continue making it.

    The result depends on source and request alone: not on the number of workers, nor on how often the work was
    interrupted. Until it is whole it lies in `DIR.partial`.

    Args:
        out: the final folder DIR.
        workers: number of processes that decode.
    Returns:
        Whether it had been there before.
    Raises:
        DataError: if anything keeps it from being made; what is finished is kept for the next attempt.
    """
    chosen = select(source.labels, request.source.limit)
    labels = source.labels[chosen]
    _check_classes(labels, source.class_names)
    partial = Partial(out, request.plan(source, len(chosen)))
    try:
        was_there = _is_there(out, partial.plan)
        if not was_there:
            with partial.locked():
                _make_all(source, chosen, request, partial, workers)
                _finish(partial, source, labels, out)
        # After its lock is released, for Windows deletes no open file. A kill right after the rename leaves it as well.
        shutil.rmtree(partial.folder, ignore_errors=was_there)
    except OSError as error:
        where = error.filename or out
        room = f"; {shutil.disk_usage(_nearest(out)).free:,} bytes are free" if error.errno == errno.ENOSPC else ""
        raise DataError(f"--out: cannot write {where} ({error.strerror}){room}; what is done is kept") from error
    return was_there


def _check_classes(labels: np.ndarray, class_names: list[str]) -> None:
    """Raise DataError if a label has no class name or a class has no image among those chosen."""
    classes = max(len(class_names), 1)
    if len(labels) == 0:
        raise DataError("--source: holds no image; allowed is at least one")
    outside, empty = first_faults(labels, classes)
    if outside is not None:
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise DataError(f"--source: label {wrong}; allowed is 0 to {classes - 1} (or pass --unlabelled)")
    if empty is not None and len(labels) < classes:
        raise DataError(f"--limit is {len(labels)}; allowed is at least one image for each of {classes} classes")
    if empty is not None:
        raise DataError(f"--source: class {class_names[empty]!r} has no image")


def _is_there(out: Path, plan: dict[str, Any]) -> bool:
    """Return whether `out` is already the data set that is asked for; anything else in its place is an error."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    if not (out / INFO_NAME).is_file():
        raise DataError(f"--out: {out} exists and is no prepared data set; choose another name")
    info = dataclasses.asdict(DatasetInfo.read(out / INFO_NAME))
    if difference := first_difference({name: info[name] for name in plan}, plan):
        raise DataError(f"--out: {out} was prepared with {difference}; choose another name or delete it")
    return True


def _make_all(source: Source, chosen: np.ndarray, request: Request, partial: Partial, workers: int) -> None:
    """Make the images that are missing."""
    total, made = len(chosen), partial.made
    partial.reserve(total - made)
    with tqdm(total=total, initial=made, unit=" images", desc="preparing", mininterval=0.5) as progress:
        try:
            for good, bad in make_chunks(source, chosen, made, request.fitting, workers):
                if bad and request.on_bad_image == "fail":
                    raise DataError(f"{bad[0]}; to go on pass --on-bad-image skip")
                partial.append(good, bad)
                progress.update(partial.made - progress.n)
                progress.set_postfix(skipped=len(partial.bad), refresh=False)
        finally:
            partial.note()


def _finish(partial: Partial, source: Source, labels: np.ndarray, out: Path) -> None:
    """Turn what every image has been made into a prepared data set under its final name.

    It may be killed at any line. The next attempt repeats it from the start, which is safe because every step before
    the rename either changes nothing the second time or writes its file anew. The rename is what makes the data set
    real: before it there is no DIR, after it DIR is whole, and what is left of DIR.partial is deleted by `build`.

    Args:
        labels: (M,) of the images chosen, good and bad.
    Raises:
        DataError: if a class is left without an image; the work folder is deleted, since repeating it is useless.
    """
    bad = partial.bad
    labels = np.delete(labels, [image.index for image in bad])
    skipped = {reason: sum(image.reason == reason for image in bad) for reason in REASONS}
    _, empty = first_faults(labels, max(len(source.class_names), 1))
    if empty is not None:
        partial.discard()
        what = f"class {source.class_names[empty]!r}" if source.class_names else "the source"
        why = ", ".join(f"{number} {reason}" for reason, number in skipped.items() if number)
        raise DataError(f"--source: no usable image is left in {what}; skipped {why}, the first {bad[0]}")
    partial.seal()
    # Not written atomically: the rename of the folder stands for all its files, and files left beside them by a kill
    # would become part of the data set.
    np.save(partial.data / LABELS_NAME, labels)
    if bad:
        lines = "".join(f"{image.name}\t{image.reason}\t{image.detail}\n" for image in bad)
        (partial.data / SKIPPED_NAME).write_text("file\treason\tdetail\n" + lines, encoding="utf-8")
    DatasetInfo(
        **partial.plan,
        count=len(labels),
        class_names=source.class_names,
        class_ids=source.class_ids,
        images_per_class=np.bincount(labels).tolist() if source.class_names else [],
        sha256={name: _sha256(partial.data / name) for name in (IMAGES_NAME, LABELS_NAME)},
        skipped={
            "total": len(bad),
            "by_reason": skipped,
            "examples": [{"file": x.name, "reason": x.reason, "detail": x.detail} for x in bad[:EXAMPLES_NAMED]],
        },
    ).write(partial.data / INFO_NAME)
    # A file system may write the rename to disk before the contents, so a power cut could leave DIR with empty files.
    for path in partial.data.iterdir():
        sync(path)
    sync(partial.data)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.exists():
        out.rmdir()  # an empty folder, which a rename replaces on POSIX but not on Windows
    partial.data.rename(out)
    sync(out.parent)


def _sha256(path: Path) -> str:
    """Hash as `train.files.sha256` does, with a progress bar: the images of ImageNet take minutes."""
    digest, size = hashlib.sha256(), path.stat().st_size
    with path.open("rb") as file, tqdm(total=size, unit="B", unit_scale=True, desc="sha256", leave=False) as progress:
        while block := file.read(HASH_BLOCK_BYTES):
            digest.update(block)
            progress.update(len(block))
    return digest.hexdigest()


def report(dataset: PreparedDataset, was_there: bool) -> str:
    """Return what the user is told of a data set, on one line or, with skipped images, on two."""
    info, side = dataset.info, dataset.resolution
    counts = info.images_per_class
    sizes = f"{min(counts):,} to {max(counts):,}" if len(set(counts)) > 1 else f"{max(counts, default=0):,}"
    classes = f"{counted(len(counts), 'class')} of {sizes}" if counts else "no classes"
    state = "was there already" if was_there else "is ready"
    megabytes = dataset.images.nbytes / 1e6
    images = f"{counted(len(dataset), 'image')} of {side}x{side} px"
    text = f"{dataset.folder} {state}: {images}, {classes}, {megabytes:,.1f} MB"
    if total := info.skipped["total"]:
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in info.skipped["by_reason"].items() if number)
        first = info.skipped["examples"][0]
        text += f"\nskipped {total:,} ({reasons}), the first {first['file']}: {first['detail']}; "
        text += f"all are listed in {dataset.folder / SKIPPED_NAME}"
    return text


def _nearest(path: Path) -> Path:
    """Return the path itself or its closest parent that exists."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())
