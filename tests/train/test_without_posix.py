"""Preparing and training where Python lacks what only POSIX has, as on Windows."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.processes import python
from tests.train.launch import tiny_command
from train import files
from train.data.dataset import PreparedDataset
from train.data.shapes import ShapeClasses, draw


def played(program: str, *arguments: object) -> str:
    environment = {"PYTHONWARNDEFAULTENCODING": "1", "SNGAN_COND_NATIVE": "0"}  # the kernels are for Linux
    done = python("-m", "tests.train.played_windows", program, *arguments, **environment)
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_shapes_are_prepared_without_what_only_posix_has(tmp_path: Path, workers: int) -> None:
    out = tmp_path / "out"
    options = ["--source", "shapes:3", "--resolution", 8, "--limit", 300, "--workers", workers, "--out", out]
    played("prepare", *options)
    dataset = PreparedDataset.open(out, verify=True)
    assert len(dataset) == 300
    np.testing.assert_array_equal(dataset.images[299], draw(ShapeClasses(3), 2, side_px=8, key=(0, 0, 299)))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.slow
def test_a_run_starts_goes_on_and_removes_the_checkpoint_it_went_on_from(tmp_path: Path, tiny_data: Path) -> None:
    flags = tiny_command(tiny_data, tmp_path / "run", "save_every=1")[3:]
    said = played("train", *flags, "steps=2", "then", *flags, "steps=4")
    assert f"continuing at step 2 from {tmp_path / 'run/checkpoints/step-00000002'}" in said
    left = sorted(path.name for path in (tmp_path / "run/checkpoints").iterdir())
    assert left == ["step-00000003", "step-00000004"]


def test_windows_syncs_files_and_passes_over_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "win32")
        patch.setattr(os, "fsync", lambda descriptor: os.write(descriptor, b"written"))  # refused if only readable
        files.sync(tmp_path)
        files.sync(file)
    assert file.read_bytes() == b"written"
