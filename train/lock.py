"""One process at a time in a folder."""

import fcntl
import os
from pathlib import Path


def lock_file(path: Path) -> int:
    """Lock a file until its descriptor is closed or the process ends, however it ends.

    Args:
        path: made if missing.
    Returns:
        The descriptor.
    Raises:
        BlockingIOError: if another process holds the lock.
        OSError: if the file system has no locks, or no room.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
