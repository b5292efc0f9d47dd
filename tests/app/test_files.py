"""The files of results: made when they are asked for, the same from a folder that was opened again, for a while."""

import json
import os
import stat
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from app.files import ResultFolder, _makes_videos, animation_kinds, remove_expired
from app.limits import LIMITS, InvalidRequest
from app.requests.base import Request
from app.requests.morph import MorphRequest
from app.requests.sample import SampleRequest
from app.service import Result, Service
from sngan_cond.images import save_animation, save_png, to_grid
from tests.refusals import refused

SAMPLE = SampleRequest(classes=("2", "0"), count=3, seed=1)
MORPH = MorphRequest(from_class="2", to_class="0", steps=5, seed=3)


def made(service: Service, request: Request, root: Path) -> tuple[Result, ResultFolder]:
    """Make a result whose images come in two parts."""
    result = service.make(request)
    folder = ResultFolder.create(root, request)
    for part in (slice(0, 2), slice(2, None)):
        folder.add(result.images[part], result.captions[part])
    folder.finish(result)
    return result, folder


def test_files_hold_the_images_and_the_recipe(service: Service, tmp_path: Path) -> None:
    result, folder = made(service, SAMPLE, tmp_path)
    for path, image in zip(folder.images, result.images, strict=True):
        assert np.array_equal(np.asarray(Image.open(path)), image.permute(1, 2, 0).numpy())
    names = [path.name for path in folder.images]
    assert names[:4] == [*(f"sample-seed1-0{i}-golf-b-ball-b.png" for i in (1, 2, 3)), "sample-seed1-04-tench.png"]
    assert folder.kinds() == ["grid", "recipe", "zip"]
    assert sorted(path.name for path in folder.path.iterdir()) == sorted([*names, "layout.json", "recipe.json"])
    save_png(to_grid(result.images, columns=3), tmp_path / "expected.png")
    grid = folder.file("grid")
    assert grid.name == "sample-seed1-grid.png"
    assert grid.read_bytes() == (tmp_path / "expected.png").read_bytes()
    with zipfile.ZipFile(folder.file("zip")) as archive:
        assert archive.namelist() == [*names, grid.name, "recipe.json"]
        assert json.loads(archive.read("recipe.json")) == result.recipe
        assert archive.read(grid.name) == grid.read_bytes()
        assert archive.testzip() is None
    assert folder.file(names[1]) == folder.images[1]


def test_a_path_has_animations(service: Service, tmp_path: Path) -> None:
    result, folder = made(service, MORPH, tmp_path)
    assert folder.kinds() == ["gif", "webp", "mp4", "grid", "recipe", "zip"]
    save_animation(result.images, tmp_path / "expected.gif")
    assert folder.file("gif").read_bytes() == (tmp_path / "expected.gif").read_bytes()
    assert folder.file("grid").name == "morph-seed3-strip.png"
    with Image.open(folder.file("webp")) as webp:
        assert webp.n_frames == 5
    with zipfile.ZipFile(folder.file("zip")) as archive:
        assert archive.namelist()[5:] == ["morph-seed3-strip.png", "morph-seed3.gif", "recipe.json"]


def test_a_video_shows_the_frames_enlarged_without_blur(service: Service, tmp_path: Path) -> None:
    result, folder = made(service, MORPH, tmp_path)
    with av.open(str(folder.file("mp4"))) as video:
        (stream,) = video.streams
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(stream)]
        assert float(stream.average_rate) == pytest.approx(1000 / 120, rel=1e-3)
    assert [frame.shape for frame in frames] == [(256, 256, 3)] * 5
    for frame, image in zip(frames, result.images, strict=True):
        cells = torch.from_numpy(frame).reshape(32, 8, 32, 8, 3).float()
        assert (cells.mean((1, 3)) - image.permute(1, 2, 0)).abs().mean() < 4
        assert (cells - cells.mean((1, 3), keepdim=True)).abs().mean() < 6  # each pixel is one colour again


def test_a_video_needs_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "mp4" in animation_kinds()
    _makes_videos.cache_clear()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "av", None)
        assert animation_kinds() == ["gif", "webp"]
    _makes_videos.cache_clear()


@pytest.mark.parametrize("wanted", [SAMPLE, MORPH], ids=lambda wanted: wanted.tab)
def test_a_folder_opened_again_gives_the_same_files(service: Service, tmp_path: Path, wanted: Request) -> None:
    _, folder = made(service, wanted, tmp_path)
    again = ResultFolder.open(tmp_path, folder.name)
    assert again.images == folder.images
    for kind in folder.kinds():
        path = again.file(kind)
        before = path.read_bytes()
        assert folder.file(kind) == path
        if kind not in ("recipe", "zip"):  # which holds times
            path.unlink()
            assert folder.file(kind).read_bytes() == before


def test_everybody_may_read_them(service: Service, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        _, folder = made(service, MORPH, tmp_path / "new" / "root")
        for kind in folder.kinds():
            folder.file(kind)
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o755
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.path.iterdir()} == {0o644}
    assert not [path.name for path in folder.path.iterdir() if path.name.startswith(".")]


def test_many_may_ask_at_once(service: Service, tmp_path: Path) -> None:
    _, folder = made(service, MORPH, tmp_path)
    kinds = folder.kinds() * 4
    with ThreadPoolExecutor(len(kinds)) as pool:
        paths = list(pool.map(lambda kind: ResultFolder.open(tmp_path, folder.name).file(kind), kinds))
    for path in paths:
        assert path.stat().st_size > 0
    with zipfile.ZipFile(folder.file("zip")) as archive:
        assert archive.testzip() is None
    assert len(list(folder.path.iterdir())) == 5 + 1 + len(folder.kinds())


@pytest.mark.parametrize("name", ["..", "../x", "sngan-" + "0" * 32, "sngan-" + "../" * 10 + "ab", "", None, 3])
def test_no_other_folder_is_opened(tmp_path: Path, name: object) -> None:
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(InvalidRequest):
        ResultFolder.open(tmp_path, name)  # type: ignore[arg-type]  # comes from outside


@pytest.mark.parametrize("kind", ["../recipe.json", "/etc/passwd", "layout.json", "exe", "mp4", "", None])
def test_no_other_file_is_handed_out(service: Service, tmp_path: Path, kind: object) -> None:
    _, folder = made(service, SAMPLE, tmp_path)
    words = "grid, recipe, zip or the name of an image is allowed"
    refused(lambda: folder.file(kind), words, by=InvalidRequest)  # type: ignore[arg-type]  # comes from outside


def test_what_is_not_complete_has_no_files_yet(service: Service, tmp_path: Path) -> None:
    folder = ResultFolder.create(tmp_path, SAMPLE)
    folder.add(service.make(SAMPLE).images[:1], ["tench"])
    for ask in (lambda: folder.file("grid"), lambda: ResultFolder.open(tmp_path, folder.name)):
        with pytest.raises(InvalidRequest, match="make them again"):
            ask()


def test_results_are_kept_for_a_while_after_their_last_use(service: Service, tmp_path: Path) -> None:
    _, old = made(service, SAMPLE, tmp_path)
    _, used = made(service, SAMPLE, tmp_path)
    for folder, age in ((old, 1.6), (used, 0.9)):
        for path in (*folder.path.iterdir(), folder.path):
            os.utime(path, (time.time() - age * LIMITS.keep_results_s,) * 2)
    with pytest.raises(InvalidRequest, match="no longer kept"):
        ResultFolder.open(tmp_path, old.name)
    ResultFolder.open(tmp_path, used.name)
    assert all(time.time() - path.stat().st_mtime < 60 for path in (used.path, *used.images))
    remove_expired(tmp_path)
    assert not old.path.exists()
    assert used.path.exists()
    with pytest.raises(InvalidRequest, match="no longer kept"):
        old.file("zip")


def test_a_new_result_sweeps_expired_ones_away(tmp_path: Path) -> None:
    expired = tmp_path / ("sngan-" + "0" * 32)
    expired.mkdir()
    os.utime(expired, (0, 0))
    ResultFolder.create(tmp_path, SAMPLE)
    assert not expired.exists()
