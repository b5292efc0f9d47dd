"""A run whose folder is removed under it, and in which another begins."""

from pathlib import Path

import pytest

from train.run.checkpoint import save_checkpoint
from train.run.lock import FolderLock
from train.run.run import LOCK_FILE, Run

STEPS = [1, 2]  # of the other's checkpoints


def another_begins(folder: Path, patch: pytest.MonkeyPatch, *, at: int) -> FolderLock:
    """Let it happen after so many steps of the run; returns the lock that the other holds then."""
    other, should_stop = FolderLock(folder / LOCK_FILE), Run.should_stop

    def replaced(run: Run) -> bool:
        if run.bar.n == at:
            folder.rename(folder.with_name("removed"))
            other.take()
            for step in STEPS:
                state = {"step": step, "images_seen": 1, "seconds": 0.0, "world_size": 1, "config": {}}
                save_checkpoint(folder / "checkpoints", state=state, tensors={}, texts={}, keep=len(STEPS))
        return should_stop(run)

    patch.setattr(Run, "should_stop", replaced)
    return other
