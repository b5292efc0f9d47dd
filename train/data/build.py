"""Preparing a data set: plan, chunks, and the one rename that makes it real."""

import dataclasses
import errno
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL
from tqdm import tqdm

from train.data.dataset import PreparedDataset
from train.data.finish import finish
from train.data.image import Fitting
from train.data.info import INFO_NAME, DatasetInfo
from train.data.partial import Partial, first_difference
from train.data.sources.base import Source
from train.data.workers import BadImage, Chunk, make_chunks
from train.errors import DataError

CHUNK_IMAGES = 128  # what a kill may cost each worker; also how often the disk is waited for


@dataclasses.dataclass(frozen=True)
class Request:
    """Everything but the images themselves that decides the result.

    Args:
        source: as the user gave it, for dataset.json.
        fitting: how images become squares.
        on_bad_image: `skip` leaves out and reports images that cannot be used, `fail` stops at the first.
        limit: keep this many images, as evenly over the classes as they allow; None keeps all.
        seed: of drawn images.
        unlabelled: leave classes out.
        label_column: of an hf source.
    """

    source: str
    split: str | None
    fitting: Fitting
    on_bad_image: Literal["skip", "fail"] = "skip"
    limit: int | None = None
    seed: int = 0
    unlabelled: bool = False
    label_column: str | None = None

    def plan(self, source: Source, count: int) -> dict[str, Any]:
        """Return what two preparations must have in common to give the same bytes."""
        fitting = dataclasses.asdict(self.fitting)
        return {
            "source": self.source,
            "split": self.split,
            "resolution": fitting.pop("resolution"),
            "preparation": {
                **fitting,
                "on_bad_image": self.on_bad_image,
                "limit": self.limit,
                "seed": self.seed,
                "unlabelled": self.unlabelled,
                "label_column": self.label_column,
                "exif_orientation": "applied",
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


def build(source: Source, request: Request, out: Path, *, workers: int) -> tuple[PreparedDataset, bool]:
    """Make the prepared data set `out`, or continue making it.

    The result depends on source and request alone: not on the number of workers, nor on how often the work was
    interrupted. Until it is whole it lies in `DIR.partial`.

    Args:
        out: the final folder DIR.
        workers: number of processes that decode.
    Returns:
        The opened data set, and whether it had been there before.
    Raises:
        DataError: if anything keeps it from being made; what is finished is kept for the next attempt.
    """
    chosen = select(source.labels, request.limit)
    plan = request.plan(source, len(chosen))
    _check_classes(source, chosen)
    try:
        if _is_there(out, plan):
            shutil.rmtree(Partial(out, plan).folder, ignore_errors=True)  # left by a kill right after the rename
            return PreparedDataset.open(out), True
        with Partial(out, plan) as partial:
            bad = _make_all(source, chosen, request, partial, workers)
            finish(partial, source, chosen, bad, plan, out)
        shutil.rmtree(partial.folder)  # after its lock is released, for Windows deletes no open file
    except OSError as error:
        where = error.filename or out
        room = f"; {shutil.disk_usage(_nearest(out)).free:,} bytes are free" if error.errno == errno.ENOSPC else ""
        raise DataError(f"--out: cannot write {where} ({error.strerror}){room}; what is done is kept") from error
    return PreparedDataset.open(out), False


def _check_classes(source: Source, chosen: np.ndarray) -> None:
    """Raise DataError if a label has no class name or a class has no image among those chosen."""
    labels, classes = source.labels[chosen], max(len(source.class_names), 1)
    if len(chosen) == 0:
        raise DataError("--source: holds no image; allowed is at least one")
    if labels.min() < 0 or labels.max() >= classes:
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise DataError(f"--source: label {wrong}; allowed is 0 to {classes - 1} (or pass --unlabelled)")
    present = np.bincount(labels, minlength=classes) > 0
    if not present.all() and len(chosen) < classes:
        raise DataError(f"--limit is {len(chosen)}; allowed is at least one image for each of {classes} classes")
    if not present.all():
        raise DataError(f"--source: class {source.class_names[int(present.argmin())]!r} has no image")


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


def _make_all(source: Source, chosen: np.ndarray, request: Request, partial: Partial, workers: int) -> list[BadImage]:
    """Make the chunks that are missing, and return the bad images of all chunks."""
    starts = range(0, len(chosen), CHUNK_IMAGES)
    done = partial.done()
    bad = [image for chunk in done for image in chunk]
    if len(done) == len(starts):
        return bad  # not through allocate: `finish` may have cut the file already
    header_bytes = partial.allocate(len(chosen), request.fitting.resolution)
    missing = (
        Chunk(number, starts[number], source.items(chosen[starts[number] : starts[number] + CHUNK_IMAGES]))
        for number in range(len(done), len(starts))
    )
    finished = len(done) * CHUNK_IMAGES
    with tqdm(total=len(chosen), initial=finished, unit=" images", desc="preparing", mininterval=0.5) as progress:
        for chunk, found in make_chunks(partial.images, header_bytes, missing, request.fitting, workers):
            if found and request.on_bad_image == "fail":
                raise DataError(
                    f"{found[0].name}: {found[0].reason} ({found[0].detail}); to go on pass --on-bad-image skip"
                )
            partial.mark_done(found)
            bad += found
            progress.update(len(chunk.items))
            progress.set_postfix(skipped=len(bad), refresh=False)
    return bad


def _nearest(path: Path) -> Path:
    """Return the path itself or its closest parent that exists."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())
