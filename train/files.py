"""Atomic, durable writes of files, and a lock that one process holds at a time."""

import errno
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from sngan_cond.atomic import atomic_file
from sngan_cond.stored import open_regular


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
