"""`DIR.partial`: the unfinished preparation of DIR, which survives a kill or a power cut at any instant.

    lock        held by the process that works here; the system releases it when that process dies
    plan.json   written first and atomically: what is being made, so that another command cannot mix its images in
    data/       images.npy, at its full size from the start, its rows written by the workers in any order
    done.jsonl  a line for each chunk, in order, appended only after the rows of the chunk have been synced

So a line in done.jsonl vouches for its rows. Rows without a line cost only the time to make them again: the same bytes
go to the same place. Nothing but a preparation reads `data/` before `finish` has renamed it to DIR.
"""

import dataclasses
import io
import json
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from filelock import FileLock

from train.data.dataset import PARTIAL_SUFFIX
from train.data.info import IMAGES_NAME
from train.data.workers import BadImage
from train.errors import DataError
from train.files import lock, sync, write_text_atomically

PLAN_NAME, DONE_NAME, LOCK_NAME, DATA_NAME = "plan.json", "done.jsonl", "lock", "data"


def npy_header(count: int, side_px: int) -> bytes:
    """Return the header of an (N, R, R, 3) uint8 .npy file.

    NumPy pads headers to a multiple of 64 bytes, so this one is equally long for every N. Images therefore keep their
    place in the file when the bad ones are dropped and the final N is written over the first.
    """
    buffer = io.BytesIO()
    fields = {"descr": "|u1", "fortran_order": False, "shape": (count, side_px, side_px, 3)}
    np.lib.format.write_array_header_1_0(buffer, fields)
    return buffer.getvalue()


class Partial:
    """The work folder: a lock, the plan, a line for each finished chunk, and the data set in the making under `data`.

    Use as a context manager; the lock keeps a second process out while it is entered.

    Args:
        out: the final folder DIR.
        plan: everything that decides the result; a folder begun with another plan is refused.
    Raises:
        DataError: on entering, if another process holds it or it was begun with another plan.
    """

    def __init__(self, out: Path, plan: dict[str, Any]) -> None:
        self.folder = out.with_name(out.name + PARTIAL_SUFFIX)
        self.data = self.folder / DATA_NAME
        self.images = self.data / IMAGES_NAME
        self.plan = plan
        self._lock: FileLock | None = None

    def __enter__(self) -> Self:
        self.data.mkdir(parents=True, exist_ok=True)
        try:
            self._lock = lock(self.folder / LOCK_NAME)
        except BlockingIOError as error:
            raise DataError(f"--out: {self.folder} is being written by another process") from error
        try:
            self._check_plan()
        except BaseException:
            self._release()  # Python calls no __exit__ when __enter__ raises
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def _check_plan(self) -> None:
        path = self.folder / PLAN_NAME
        if not path.exists():
            write_text_atomically(path, json.dumps(self.plan, indent=1) + "\n")
            return
        begun = json.loads(path.read_text(encoding="utf-8"))
        if difference := first_difference(begun, self.plan):
            raise DataError(
                f"--out: {self.folder} was begun with {difference}; repeat that, or delete it to start anew"
            )

    def allocate(self, count: int, side_px: int) -> int:
        """Give the image file its full size, so that a full disk shows at once and not after hours.

        Args:
            count: number of images N.
            side_px: their side R in pixels.
        Returns:
            Number of bytes before the first image.
        Raises:
            OSError: if the disk has no room.
        """
        header = npy_header(count, side_px)
        total = len(header) + count * side_px * side_px * 3
        # "w+b" would empty a file whose chunks are already marked as done.
        with self.images.open("r+b" if self.images.exists() else "w+b") as file:
            # truncate alone makes a sparse file and reserves nothing; macOS and Windows lack posix_fallocate.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, total)
            file.truncate(total)
            file.write(header)
        return len(header)

    def done(self) -> list[list[BadImage]]:
        """Return the bad images of each finished chunk, in order; a line cut by a kill is dropped."""
        path = self.folder / DONE_NAME
        if not self.images.exists():  # the rows that the lines vouch for are gone
            path.unlink(missing_ok=True)
        if not path.exists():
            return []
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(path, len(whole))  # otherwise the next line would be appended to the torn one
        return [[BadImage(*fields) for fields in json.loads(line)] for line in whole.splitlines()]

    def mark_done(self, bad: list[BadImage]) -> None:
        """Note that the next chunk is finished.

        Its rows must have been synced before. If the line reached the disk first, a power cut between the two would
        leave black images that count as finished.

        Args:
            bad: the images of the chunk that could not be used.
        """
        path = self.folder / DONE_NAME
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([dataclasses.astuple(image) for image in bad]) + "\n")
        sync(path)

    def discard(self) -> None:
        """Delete everything that was made."""
        # First, for a kill within rmtree must not leave the lines without the plan that they belong to.
        (self.folder / DONE_NAME).unlink(missing_ok=True)
        self._release()  # Windows deletes no file that is open
        shutil.rmtree(self.folder)


def first_difference(begun: dict[str, Any], asked: dict[str, Any]) -> str | None:
    """Name the first field in which two plans differ, with both values."""
    for name in begun | asked:
        old, new = begun.get(name), asked.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            if inner := first_difference(old, new):
                return inner
        elif old != new:
            return f"{name} {old!r}, not {new!r}"
    return None
