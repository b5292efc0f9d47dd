"""Preparing where Python lacks what only POSIX has, as on Windows."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.processes import python
from train import files
from train.data.dataset import PreparedDataset
from train.data.shapes import ShapeClasses, draw

# Windows' own lock cannot run here; without fcntl filelock falls back to a file that exists while the lock is held.
WITHOUT_POSIX = """
import os, signal, sys
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
del signal.pthread_sigmask, os.fork, os.O_DIRECTORY
for name in ("posix_fallocate", "sched_getaffinity"):
    if hasattr(os, name):
        delattr(os, name)

import train.data.build
import train.prepare
sys.exit(train.prepare.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_shapes_are_prepared_without_what_only_posix_has(tmp_path: Path, workers: int) -> None:
    out = tmp_path / "out"
    options = ["--source", "shapes:3", "--resolution", 8, "--limit", 300, "--workers", workers, "--out", out]
    assert "Traceback" not in python("-c", WITHOUT_POSIX, *options).stderr
    dataset = PreparedDataset.open(out, verify=True)
    assert len(dataset) == 300
    np.testing.assert_array_equal(dataset.images[299], draw(ShapeClasses(3), 2, side_px=8, key=(0, 0, 299)))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_windows_syncs_files_and_passes_over_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "win32")
        patch.setattr(os, "fsync", lambda descriptor: os.write(descriptor, b"written"))  # refused if only readable
        files.sync(tmp_path)
        files.sync(file)
    assert file.read_bytes() == b"written"
