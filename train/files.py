"""Atomic, durable writes of files, and a lock that one process holds at a time."""

import errno
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from sngan_cond.atomic import atomic_file
from sngan_cond.stored import open_regular
from sngan_cond.validation import one_line


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Write a file as `atomic_file` does, in a folder that is made if needed, and wait until it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as beside:
        yield beside
        sync(beside)
    sync(path.parent)


def write_text_atomically(path: Path, text: str) -> None:
    """Write a text in UTF-8 as `atomic_write` does."""
    with atomic_write(path) as beside:
        beside.write_text(text, encoding="utf-8")


class GrowingFile:
    """A file that grows by whole pieces: what a full disk refuses leaves no half behind, and waits for the next piece.

    Args:
        path: made if missing; its folder is not.
    """

    MAX_WAITING = 1 << 26  # bytes; what would wait beyond them is dropped

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting = b""

    def add(self, piece: bytes) -> None:
        """Append a piece, behind those that wait.

        Raises:
            OSError: if the disk refuses; the file is what it was.
        """
        if not self._waiting or len(self._waiting) + len(piece) <= self.MAX_WAITING:
            self._waiting += piece
        with self.path.open("ab", buffering=0) as file:
            before, left = file.tell(), memoryview(self._waiting)
            try:
                while left:
                    left = left[file.write(left) :]
            except OSError as error:
                with suppress(OSError):
                    file.truncate(before)
                error.filename = str(self.path)
                raise
        self._waiting = b""

    def flush(self) -> None:
        """Append what waits, if anything does; raises as `add` does."""
        if self._waiting:
            self.add(b"")


class Dispensable:
    """What may fail without ending the work it belongs to: each failing thing is named once, and once it works again.

    Args:
        say: called with one line for people.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self._failing: set[str] = set()

    @contextmanager
    def trying(self, what: object, *errors: type[Exception]) -> Iterator[None]:
        """Swallow the errors of the block.

        Args:
            what: names it in the line.
            errors: kinds of them beside the system's.
        """
        name = str(what)
        try:
            yield
        except (OSError, *errors) as error:
            if name not in self._failing:
                reason = getattr(error, "strerror", None) or one_line(error, 200) or type(error).__name__
                where = f": {file}" if (file := getattr(error, "filename", None)) and str(file) != name else ""
                self.say(f"warning: {name}: cannot be written ({reason}{where}); the run goes on, and tries again")
            self._failing.add(name)
        else:
            if name in self._failing:
                self.say(f"{name}: is written again")
            self._failing.discard(name)


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    on_windows = sys.platform == "win32"
    if on_windows and path.is_dir():  # Windows opens no folders; NTFS journals their names itself
        return
    descriptor = os.open(path, os.O_RDWR if on_windows else os.O_RDONLY)  # Windows syncs only writable handles
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a regular file."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def lock(path: Path) -> FileLock | None:
    """Lock a file until the lock is released or this process ends, however it ends.

    Args:
        path: made if missing; it stays when the lock goes.
    Returns:
        None where the file system has no locks.
    Raises:
        BlockingIOError: if another process holds the lock.
    """
    held = FileLock(path, fallback_to_soft=False)  # a soft lock would outlive a killed process
    try:
        held.acquire(timeout=0)
    except Timeout as error:
        raise BlockingIOError(errno.EWOULDBLOCK, "another process holds the lock", str(path)) from error
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            return None
        raise
    return held
