"""Room for the memory that worker processes share, and what becomes of images that cost more than their own."""

import errno
import os
import sys
import tempfile
from collections import namedtuple
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.refusals import refused
from tests.train.data.images import arguments, contents, prepare, refusal
from train.data import workers
from train.data.image import Fitting
from train.data.sources.base import Item, Source
from train.errors import DataError

Usage = namedtuple("Usage", "free")
IMAGE_BYTES = 16 * 16 * 3


def test_the_chunks_of_16_workers_fit_the_shared_memory_of_a_container() -> None:
    for side in (64, 128, 256):
        size = min(workers.CHUNK_IMAGES, workers.CHUNK_BYTES // (side * side * 3))
        assert 16 * workers.QUEUED_PER_WORKER * size * side * side * 3 + workers.SPARED_BYTES <= 1 << 26


@pytest.mark.slow
@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("images", [2, 3, 4, 9, 1000])
def test_little_room_makes_chunks_smaller_and_changes_no_byte(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: int
) -> None:
    assert prepare(*arguments(source, tmp_path / "whole"))[0] == 0
    free = workers.SPARED_BYTES + images * IMAGE_BYTES
    monkeypatch.setattr(workers.shutil, "disk_usage", lambda _: Usage(free))
    shapes, make = [], workers._make_in_pool
    monkeypatch.setattr(workers, "_make_in_pool", lambda *given: shapes.append(given[1]) or make(*given))
    assert prepare(*arguments(source, tmp_path / "out", workers=2))[0] == 0
    assert shapes[0][:2] == {2: (2, 1), 3: (3, 1), 4: (4, 1), 9: (4, 2), 1000: (4, 8)}[images]
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def listed(loads: list[Callable[[], Image.Image]]) -> Source:
    items = [Item(f"cat/{i}.jpg", load) for i, load in enumerate(loads)]
    return Source([], None, np.zeros(len(items), np.int64), lambda chosen: [items[i] for i in chosen], "")


@pytest.mark.slow
def test_a_decoder_that_ends_its_process_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "CHUNK_IMAGES", 8)
    loads: list[Callable[[], Image.Image]] = [partial(Image.new, "RGB", (8, 8))] * 40
    loads[29] = os.abort
    chunks = workers.make_chunks(listed(loads), np.arange(40), 0, Fitting(8), 2)
    said = refused(lambda: list(chunks), "--workers 2: a worker process died while it read ", by=DataError)
    assert "cat/29.jpg" in said.partition(" (")[0]


def test_an_image_for_which_there_is_no_memory_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    def apply(_: Fitting, image: Image.Image) -> np.ndarray:
        if image.width > 8:
            raise MemoryError
        return np.asarray(image)

    monkeypatch.setattr(Fitting, "apply", apply)
    source = listed([partial(Image.new, "RGB", (side, 8)) for side in (8, 9, 8)])
    ((good, bad),) = workers.make_chunks(source, np.arange(3), 0, Fitting(8), 1)
    assert (len(good), [str(image) for image in bad]) == (2, ["cat/1.jpg: unreadable (there is no memory for it)"])


@pytest.mark.usefixtures("small_chunks")
def test_no_room_for_shared_memory_is_one_line(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = workers.SPARED_BYTES + 2 * IMAGE_BYTES - 1
    monkeypatch.setattr(workers.shutil, "disk_usage", lambda _: Usage(free))
    monkeypatch.setattr(sys, "platform", "linux")
    assert refusal(*arguments(source, tmp_path / "out", workers=2)) == (
        "--workers 2: at least 1,050,112 bytes of memory are shared, but /dev/shm has 1,050,111 and "
        f"{tempfile.gettempdir()} has 1,050,111 bytes free; "
        "ask for fewer workers, or set TMPDIR to a folder with more room"
    )


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere shared memory lies in TMPDIR")
def test_no_temporary_folder_is_needed_where_dev_shm_has_room(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", refuse)
    assert prepare(*arguments(source, tmp_path / "out", workers=2))[0] == 0


@pytest.mark.usefixtures("small_chunks")
def test_memory_that_cannot_be_shared_is_one_line(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EACCES, "Permission denied", "/dev/shm")

    monkeypatch.setattr(workers.shutil, "disk_usage", refuse)
    assert refusal(*arguments(source, tmp_path / "out", workers=2)) == (
        "--workers 2: no memory can be shared (/dev/shm: Permission denied); "
        "ask for --workers 1, or check /dev/shm and TMPDIR"
    )
