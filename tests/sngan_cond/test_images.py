"""Grids, and files that are whole or absent."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sngan_cond.images import save_animation, save_arrays, save_image, save_png, to_grid
from tests.refusals import refused


def random_images(count: int, height: int = 3, width: int = 4) -> torch.Tensor:
    rng = torch.Generator().manual_seed(count)
    return torch.randint(0, 255, (count, 3, height, width), dtype=torch.uint8, generator=rng)


def test_grid() -> None:
    images = random_images(5)
    grid = to_grid(images, columns=3, padding=1)
    assert grid.shape == (3, 2 * 4 + 1, 3 * 5 + 1)
    assert torch.equal(grid[:, 1:4, 1:5], images[0])
    assert torch.equal(grid[:, 1:4, 11:15], images[2])
    assert torch.equal(grid[:, 5:8, 6:10], images[4])
    white = torch.ones(grid.shape[1:], dtype=torch.bool)
    for i in range(5):
        top, left = 1 + i // 3 * 4, 1 + i % 3 * 5
        white[top : top + 3, left : left + 4] = False
    assert (grid[:, white] == 255).all()


def test_a_grid_is_no_wider_than_its_images() -> None:
    assert to_grid(random_images(2), columns=9, padding=0).shape == (3, 3, 8)


@pytest.mark.parametrize(("count", "columns"), [(0, 1), (3, 0), (3, -1)])
def test_grids_of_nothing(count: int, columns: int) -> None:
    refused(lambda: to_grid(random_images(count), columns=columns), f"a grid of {count} images in {columns} columns")


def test_grids_that_nobody_opens() -> None:
    images = random_images(1).expand(20_000, -1, -1, -1)
    refused(lambda: to_grid(images, columns=20_000), "a grid with 20000 images of 4 px in a line: at most 65,000 px")


def test_png_holds_the_pixels_and_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    image = random_images(1, 16, 9)[0]
    for name in ("a.png", "b.png"):
        save_png(image, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as read:
        assert read.mode == "RGB"
        assert torch.equal(torch.from_numpy(np.array(read)).permute(2, 0, 1), image)


@pytest.mark.parametrize("suffix", ["gif", "webp", "apng"])
def test_animations(tmp_path: Path, suffix: str) -> None:
    frames = random_images(6, 8, 8)
    path = tmp_path / f"walk.{suffix}"
    save_animation(frames, path, frame_ms=70)
    with Image.open(path) as read:
        assert (read.n_frames, read.size, read.info["loop"]) == (6, (8, 8), 0)
        for i, frame in enumerate(frames):
            read.seek(i)
            pixels = torch.from_numpy(np.array(read.convert("RGB"))).permute(2, 0, 1)
            assert torch.equal(pixels, frame)  # 64 pixels: no more colours than a GIF has
            assert read.info["duration"] == 70


def test_other_endings_are_refused(tmp_path: Path) -> None:
    images = random_images(2)
    animations, stills = (
        "an animation ends in .gif, .webp or .apng",
        "an image ends in .png, .jpg, .jpeg, .webp or .avif",
    )
    refused(lambda: save_animation(images, tmp_path / "walk.mp4"), animations)
    refused(lambda: save_image(images[0], tmp_path / "a.gif"), stills)


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    images = random_images(2)
    words = "(3, H, W) uint8 is allowed; sampling.to_uint8 makes it of images in [-1, 1]"
    for other in (images, images[0] / 255, images[0, :1]):
        refused(lambda other=other: save_image(other, tmp_path / "a.png"), str(tuple(other.shape)), words)
    shape = {"count": 2, "side_px": 4, "y": None}
    refused(lambda: save_arrays([images], tmp_path / "a.npy", **shape), "(2, 3, 3, 4)", "(n, 3, 4, 4) uint8")
    square = random_images(2, 4, 4)
    refused(lambda: save_arrays([square / 255], tmp_path / "a.npz", **shape), "torch.float32")
    refused(lambda: save_arrays([square[:1]], tmp_path / "a.npz", **shape), "count=2: the batches hold 1 images")
    refused(lambda: save_arrays([square], tmp_path / "a.txt", **shape), "a.txt'", "arrays end in .npy or .npz")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    save_png(random_images(1)[0], path)
    before = path.read_bytes()

    def half(_image: Image.Image, target: Path, **_options: object) -> None:
        Path(target).write_bytes(before[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", half)
    refused(lambda: save_png(random_images(1)[0], path), "No space left", by=OSError)
    refused(lambda: save_animation(random_images(2), tmp_path / "b.gif"), "No space left", by=OSError)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_without_pillow_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    image = random_images(1)[0]
    refused(lambda: save_png(image, tmp_path / "a.png"), "need Pillow: pip install pillow")
