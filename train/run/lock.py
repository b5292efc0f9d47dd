"""The lock of a run's folder, also where somebody removes the folder under the run and begins another there."""

import os
from pathlib import Path

from filelock import FileLock

from train.files import lock


class FolderLock:
    """Holds a folder by a file in it.

    Args:
        path: of that file; it and its folder are made if missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: FileLock | None = None
        self._file: os.stat_result | None = None

    def take(self) -> None:
        """Lock the file that is there now.

        Raises:
            BlockingIOError: if another process holds it.
        """
        self.release()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = lock(self.path)
        self._file = self.path.stat()

    def is_held(self) -> bool:
        """Return whether the file that was locked is still the one there; its inode is not used again so long."""
        try:
            there = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:  # which says nothing of the file
            return True
        return self._file is not None and os.path.samestat(self._file, there)

    def release(self) -> None:
        """Let others have it."""
        if self._lock is not None:
            self._lock.release()
        self._lock = self._file = None
