"""`DIR.partial`: the unfinished preparation of DIR, which survives a kill at any instant."""

import dataclasses
import io
import json
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from train.data.dataset import PARTIAL_SUFFIX
from train.data.info import IMAGES_NAME
from train.data.workers import BadImage
from train.errors import DataError
from train.run.run import lock_file

PLAN_NAME, DONE_NAME, LOCK_NAME, DATA_NAME = "plan.json", "done.jsonl", "lock", "data"


def npy_header(count: int, side_px: int) -> bytes:
    """The header of an (N, R, R, 3) uint8 .npy file; as long for one N as for another, so N may be settled last."""
    buffer = io.BytesIO()
    fields = {"descr": "|u1", "fortran_order": False, "shape": (count, side_px, side_px, 3)}
    np.lib.format.write_array_header_1_0(buffer, fields)
    return buffer.getvalue()


class Partial:
    """The work folder: a lock, the plan, a line a finished chunk, and the data set in the making under `data`.

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
        self._lock: int | None = None

    def __enter__(self) -> Self:
        self.data.mkdir(parents=True, exist_ok=True)
        try:
            self._lock = lock_file(self.folder / LOCK_NAME)
        except BlockingIOError as error:
            raise DataError(f"--out: {self.folder} is being written by another process") from error
        try:
            self._check_plan()
        except DataError:
            os.close(self._lock)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            os.close(self._lock)

    def _check_plan(self) -> None:
        path = self.folder / PLAN_NAME
        if not path.exists():
            write_whole(path, json.dumps(self.plan, indent=1) + "\n")
            return
        begun = json.loads(path.read_text(encoding="utf-8"))
        if difference := first_difference(begun, self.plan):
            raise DataError(
                f"--out: {self.folder} was begun with {difference}; repeat that, or delete it to start anew"
            )

    def allocate(self, count: int, side_px: int) -> int:
        """Give the image file its full size, so that a full disk shows at once and not after hours.

        Args:
            count: rows.
            side_px: side R of a row's picture.
        Returns:
            Bytes before row 0.
        Raises:
            OSError: if the disk has no room.
        """
        header = npy_header(count, side_px)
        total = len(header) + count * side_px * side_px * 3
        with self.images.open("r+b" if self.images.exists() else "w+b") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, total)  # macOS has none
            file.truncate(total)
            file.write(header)
        return len(header)

    def done(self) -> list[list[BadImage]]:
        """Bad pictures of the chunks that are finished, in order; a line cut by a kill is dropped."""
        path = self.folder / DONE_NAME
        if not self.images.exists():
            path.unlink(missing_ok=True)
        if not path.exists():
            return []
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(path, len(whole))
        return [[BadImage(*fields) for fields in json.loads(line)] for line in whole.splitlines()]

    def mark_done(self, bad: list[BadImage]) -> None:
        """Note that the next chunk is on disk."""
        line = json.dumps([dataclasses.astuple(image) for image in bad]) + "\n"
        with (self.folder / DONE_NAME).open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def discard(self) -> None:
        """Delete everything that was made."""
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


def write_whole(path: Path, text: str) -> None:
    """Write a small file so that it is there in full or not at all."""
    beside = path.with_name(path.name + ".new")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
