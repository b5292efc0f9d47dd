"""The order in which files reach the disk, as the system calls tell it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

Event = tuple[str, object]  # ("sync", what stat calls the file) or ("rename", its new path)


@contextmanager
def disk_events() -> Iterator[list[Event]]:
    """Record what is synced, and what is renamed to which path, from here on; both happen all the same."""
    events: list[Event] = []
    fsync, rename = os.fsync, Path.rename

    def noted_fsync(descriptor: int) -> None:
        fsync(descriptor)
        events.append(("sync", _identity(os.fstat(descriptor))))

    def noted_rename(path: Path, target: Path) -> Path:
        events.append(("rename", target))
        return rename(path, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", noted_fsync)
        patch.setattr(Path, "rename", noted_rename)
        yield events


def assert_durable(events: list[Event], final: Path) -> None:
    """Every file, then the folder, is synced before the rename, and its parent after; the disk knows them by number."""
    folder = events.index(("sync", _identity(final.stat())))
    renamed = events.index(("rename", final))
    synced = {what for kind, what in events[:folder] if kind == "sync"}
    assert {_identity(path.stat()) for path in final.iterdir()} <= synced
    assert folder < renamed < events.index(("sync", _identity(final.parent.stat())), renamed)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
