"""`DIR.partial`: the unfinished preparation of DIR, which survives a kill or a power cut at any instant.

    lock        held by the process that works here; the system releases it when that process dies
    plan.json   written first and atomically: what is being made, so that another command cannot mix its images in
    data/       images.npy: room for the header, then the images that could be used, appended in order
    done.jsonl  a line for each stretch: how many images the file holds with it, and which could not be used

A line is appended only after its images have been synced, so it vouches for them. Images without a line cost only the
time to make them again: the next attempt writes them over. Nothing but a preparation reads `data/` before it is renamed
to DIR.
"""

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pydantic
from filelock import FileLock
from pydantic import Field

from sngan_cond.atomic import remove_drafts
from sngan_cond.stored import parse_json, read_json
from sngan_cond.validation import one_line, short_repr
from train.data.dataset import PARTIAL_SUFFIX
from train.data.info import IMAGES_NAME
from train.data.sources.base import EARLIER_READING
from train.data.workers import BadImage
from train.errors import DataError
from train.files import lock, sync, write_text_atomically
from train.stored import STRICT, check_as

PLAN_NAME = "plan.json"
LAYOUT = 2  # of this folder; 1 had a row for every image, good or bad, and lines without a count
NOTE_IMAGES = 256  # what a kill may cost, beside the images not appended; also how often the disk is waited for
NOTE_BYTES = 1 << 25  # of larger images fewer
HEADER_BYTES = 128  # of images.npy: NumPy leaves room for any count, which is known only when every image was tried


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class Note:
    """A line of done.jsonl.

    Args:
        rows: images in the file when it was written.
        bad: those since the line before that could not be used.
    """

    rows: Annotated[int, Field(ge=0)]
    bad: list[BadImage]


class _Tried(NamedTuple):
    """How many images of those chosen are in the file, and how many could not be used."""

    rows: int = 0
    bad: int = 0


class Partial:
    """The work folder: a lock, the plan, a line for each finished stretch, and the data set in the making under `data`.

    Args:
        out: the final folder DIR.
        plan: everything that decides the result.
    Attributes:
        bad: the images that could not be used.
    """

    def __init__(self, out: Path, plan: dict[str, Any]) -> None:
        self.folder = out.with_name(out.name + PARTIAL_SUFFIX)
        self.data = self.folder / "data"
        self.images = self.data / IMAGES_NAME
        self.plan = plan
        self.bad: list[BadImage] = []
        self._written = self._noted = _Tried()
        self._done = self.folder / "done.jsonl"
        self._row_bytes = plan["resolution"] ** 2 * 3
        self._lock: FileLock | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Begin or continue the work, and keep a second process out meanwhile.

        Raises:
            DataError: if another process is at it, or it was begun with another plan.
        """
        self.data.mkdir(parents=True, exist_ok=True)
        self.images.touch()
        try:
            self._lock = lock(self.folder / "lock")
        except BlockingIOError as error:
            raise DataError(f"--out: {self.folder} is being written by another process") from error
        try:
            remove_drafts(self.folder, PLAN_NAME, alone=True)
            self._check_plan()
            self._read_done()
            yield
        finally:
            self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def _check_plan(self) -> None:
        path = self.folder / PLAN_NAME
        if not path.exists():
            write_text_atomically(path, json.dumps({"layout": LAYOUT, **self.plan}, indent=1) + "\n")
            return
        begun = read_json(path, error=DataError, name=f"--out: {path}")
        if begun.pop("layout", 1) != LAYOUT:
            why = "by another version of train.prepare; finish it with that"
        elif difference := first_difference(begun, self.plan):
            why = f"with {difference}; repeat that"
        else:
            return
        raise DataError(f"--out: {self.folder} was begun {why}, or delete it to start anew")

    def _read_done(self) -> None:
        content = self._done.read_bytes() if self._done.is_file() else b""
        whole, newline, torn = content.rpartition(b"\n")
        if torn:
            os.truncate(self._done, len(whole + newline))  # otherwise the next line would be appended to the torn one
        for number, line in enumerate(whole.decode("utf-8", "replace").splitlines(), 1):
            name = f"--out: {self._done}: line {number}"
            note = check_as(Note, parse_json(line, error=DataError, name=name), error=DataError, name=name)
            before = self.made
            self.bad += note.bad
            self._written = _Tried(note.rows, len(self.bad))
            if self.made <= before or not all(before <= image.index < self.made for image in note.bad):
                raise DataError(f"{name} does not follow from those before; delete {self.folder} to start anew")
        if self.images.stat().st_size < self._end:  # the images that the lines vouch for are gone
            self._done.unlink(missing_ok=True)
            self.bad, self._written = [], _Tried()
        self._noted = self._written

    @property
    def rows(self) -> int:
        """Number of images in the file that need not be made again."""
        return self._written.rows

    @property
    def made(self) -> int:
        """How many of the images chosen have been tried."""
        return sum(self._written)

    @property
    def _end(self) -> int:
        """Where the next image goes in the file."""
        return HEADER_BYTES + self.rows * self._row_bytes

    def reserve(self, count: int) -> None:
        """Reserve room for so many images more, so that a full disk shows at once and not after hours.

        Raises:
            OSError: if the disk has no room; macOS and Windows cannot say.
        """
        if hasattr(os, "posix_fallocate"):
            with self.images.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, self._end + count * self._row_bytes)

    def append(self, good: np.ndarray, bad: list[BadImage]) -> None:
        """Add what the next chunk has become, and now and then note what was added.

        Args:
            good: (n, R, R, 3) uint8.
            bad: the images that could not be used.
        """
        with self.images.open("r+b") as file:
            file.seek(self._end)
            file.write(good.data)
        self.bad += bad
        # One assignment, for Ctrl-C may come between any two, and what is noted then must be true.
        self._written = _Tried(self.rows + len(good), len(self.bad))
        if self.made - sum(self._noted) >= min(NOTE_IMAGES, NOTE_BYTES // self._row_bytes):
            self.note()

    def note(self) -> None:
        """Wait until what was added is on the disk, and note that it is.

        If the line reached the disk first, a power cut between the two would leave black images that count as made.
        """
        if self._noted == self._written:
            return
        sync(self.images)
        # Before the line, for one that Ctrl-C or a full disk cuts short must not be followed by another.
        before, self._noted = self._noted, self._written
        note = Note(self.rows, self.bad[before.bad : self._noted.bad])
        with self._done.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dataclasses.asdict(note)) + "\n")
        sync(self._done)

    def seal(self) -> None:
        """Make images.npy whole: its header, and an end after the last image."""
        side = self.plan["resolution"]
        header = {"descr": "|u1", "fortran_order": False, "shape": (self.rows, side, side, 3)}
        with self.images.open("r+b") as file:
            np.lib.format.write_array_header_1_0(file, header)
            file.truncate(self._end)

    def discard(self) -> None:
        """Delete everything that was made."""
        # First, for a kill within rmtree must not leave the lines without the plan that they belong to.
        self._done.unlink(missing_ok=True)
        self._release()  # Windows deletes no file that is open
        shutil.rmtree(self.folder)


def first_difference(begun: dict[str, Any], asked: dict[str, Any]) -> str | None:
    """Name the first field in which two plans differ, with both values."""
    for name in begun | asked:
        old, new = begun.get(name, EARLIER_READING.get(name)), asked.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            if inner := first_difference(old, new):
                return inner
        elif old != new:
            return f"{one_line(name, 100)} {short_repr(old)}, not {short_repr(new)}"
    return None
