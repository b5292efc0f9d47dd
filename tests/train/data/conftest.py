"""Fixtures of the tests that prepare image folders."""

from pathlib import Path

import pytest

from tests.train.data.images import flawed_images
from train.data import partial, workers


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "CHUNK_IMAGES", 8)
    monkeypatch.setattr(partial, "NOTE_IMAGES", 8)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return flawed_images(tmp_path / "images")
