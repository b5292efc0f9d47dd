"""The order in which files reach the disk, as the system calls tell it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

Event = tuple[str, str]  # ("sync" or "rename", a file's name)


@contextmanager
def disk_events() -> Iterator[list[Event]]:
    """Record what is synced, and what is renamed to which name, from here on; both happen all the same."""
    events: list[Event] = []
    fsync, rename = os.fsync, Path.rename

    def noted_fsync(descriptor: int) -> None:
        fsync(descriptor)
        events.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink().name))

    def noted_rename(path: Path, target: Path) -> Path:
        events.append(("rename", target.name))
        return rename(path, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", noted_fsync)
        patch.setattr(Path, "rename", noted_rename)
        yield events


def assert_durable(events: list[Event], files: set[str], *, draft: str, final: Path) -> None:
    """Every file, then the folder under its draft's name, is synced before the rename; then the parent is."""
    renamed = events.index(("rename", final.name))
    folder = events.index(("sync", draft))
    synced = {name for kind, name in events[:folder] if kind == "sync"}
    assert files <= synced
    assert folder < renamed < events.index(("sync", final.parent.name), renamed)
