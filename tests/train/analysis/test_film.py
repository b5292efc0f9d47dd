"""The animation of a run's grids: as many frames as grids, in their order, each saying how many images D had seen."""

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from train.analysis import film
from train.analysis.film import Film, evenly, read_film

SEEN = 12  # images a step


def grid(folder: Path, step: int, grey: int, size: tuple[int, int] = (40, 30)) -> None:
    """A grid of one grey, but for its left half, which is black."""
    pixels = np.full((*size[::-1], 3), grey, np.uint8)
    pixels[:, : size[0] // 2] = 0
    (folder / film.FOLDER).mkdir(exist_ok=True)
    Image.fromarray(pixels).save(folder / film.FOLDER / f"step-{step:08d}.png")


def pictures(webp: bytes) -> list[np.ndarray]:
    with Image.open(io.BytesIO(webp)) as image:
        return [np.asarray(frame.convert("RGB"), float) for frame in ImageSequence.Iterator(image)]


def greys(of: Film) -> list[float]:
    """Of the middle of each frame's right half, below the caption."""
    return [float(frame[60, 60].mean()) for frame in pictures(of.moving)]


def test_frames_are_the_grids_in_their_order(tmp_path: Path) -> None:
    expected = {0: 250, 10: 30, 9: 200, 123456789: 120}
    for step, grey in expected.items():
        grid(tmp_path, step, grey)
    (tmp_path / "samples/step-10.png").touch()  # not a name that runs give
    (tmp_path / "samples/.step-00000011.png.part").touch()
    made = read_film(tmp_path, images_per_step=SEEN)
    assert (made.problems, made.kept) == ([], 4)
    assert [(still.step, still.images_seen) for still in made.stills] == [(s, 12 * s) for s in sorted(expected)]
    assert greys(made) == pytest.approx([expected[step] for step in sorted(expected)], abs=3)  # WebP's loss
    frames = pictures(made.moving)
    for still, frame in zip(made.stills, frames, strict=True):
        (single,) = pictures(still.webp)
        assert single.shape == frame.shape == (*made.size[::-1], 3)
        assert np.abs(single - frame).mean() < 3
        right = single[film._STRIP_PX :, 40:80]  # doubled
        assert np.abs(right[4:-4, 4:-4] - expected[still.step]).max() < 6
        assert np.abs(single[film._STRIP_PX + 4 :, 4:36][:56]).max() < 8
    captions = [frame[: film._STRIP_PX] for frame in frames]
    assert all((caption < 100).any() for caption in captions)
    assert all(np.abs(one - other).max() > 100 for one, other in pairwise(captions))
    with Image.open(io.BytesIO(made.moving)) as image:
        assert image.info["loop"] == 0  # for ever


def test_grids_of_several_sizes_share_a_frame(tmp_path: Path) -> None:
    grid(tmp_path, 1, 200, (40, 30))
    grid(tmp_path, 2, 100, (640, 300))  # too long to be doubled
    grid(tmp_path, 3, 50, (3000, 1500))
    made = read_film(tmp_path, images_per_step=SEEN)
    assert made.size == (film.MAX_PX, film.MAX_PX // 2 + film._STRIP_PX)
    assert [frame.shape for frame in pictures(made.moving)] == [(*made.size[::-1], 3)] * 3


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in (0, 5, 7):
        grid(tmp_path, step, 200)
    samples = tmp_path / film.FOLDER
    (samples / "step-00000001.png").write_bytes(b"no picture")
    whole = (samples / "step-00000005.png").read_bytes()
    (samples / "step-00000002.png").write_bytes(whole[: len(whole) - 30])
    (samples / "step-00000003.png").mkdir()
    (samples / "step-00000004.png").write_bytes(b"")
    Image.new("RGB", (30, 30)).save(samples / "step-00000006.png", "GIF")
    Image.new("L", (120, 100)).save(samples / "step-00000008.png")
    with monkeypatch.context() as limited:
        limited.setattr(Image, "MAX_IMAGE_PIXELS", 4_000)
        made = read_film(tmp_path, images_per_step=SEEN)
    assert [still.step for still in made.stills] == [0, 5, 7]
    assert len(pictures(made.moving)) == 3
    bad = {1: "(no picture)", 2: "(", 3: "(Is a directory)", 4: "(no picture)", 6: "(no picture)", 8: "(Image size"}
    assert len(made.problems) == len(bad)
    for (step, reason), problem in zip(bad.items(), made.problems, strict=True):
        assert problem.startswith(f"samples/step-0000000{step}.png cannot be read {reason}"), problem
        assert "\n" not in problem


def test_without_grids_it_says_why(tmp_path: Path) -> None:
    (problem,) = read_film(tmp_path, images_per_step=SEEN).problems
    assert problem == "There are no sample grids: samples/ cannot be read (No such file or directory)"
    (tmp_path / film.FOLDER).mkdir()
    (problem,) = read_film(tmp_path, images_per_step=SEEN).problems
    assert problem == "There are no sample grids: samples/ has no step-NUMBER.png"
    (tmp_path / "samples/step-00000000.png").write_bytes(b"cut")
    made = read_film(tmp_path, images_per_step=SEEN)
    assert (made.stills, made.moving, len(made.problems)) == ([], b"", 1)


def test_many_grids_are_thinned_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film, "MAX_FRAMES", 3)
    for step in range(0, 50, 10):
        grid(tmp_path, step, 50 + step)
    made = read_film(tmp_path, images_per_step=SEEN)
    assert ([still.step for still in made.stills], made.kept) == ([0, 20, 40], 5)
    assert evenly(range(100, 1000), 4) == [100, 400, 699, 999]
    assert evenly([3, 5], 2) == [3, 5]
