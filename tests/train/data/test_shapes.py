"""Drawn shapes: determinism, distinct classes, names, any side."""

import numpy as np
import pytest

from train.data.shapes import MAX_CLASSES, SHAPES, ShapeClasses, draw

TEN = ShapeClasses(10)


def bright(image: np.ndarray) -> np.ndarray:
    """Where the shape is: its colour is much lighter than the ground."""
    return image.max(axis=2) > 128


@pytest.mark.parametrize("side_px", [8, 32, 48, 128])
def test_an_image_is_a_function_of_its_key(side_px: int) -> None:
    first = draw(TEN, 5, side_px=side_px, key=(0, 0, 7))
    assert first.shape == (side_px, side_px, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, draw(TEN, 5, side_px=side_px, key=(0, 0, 7)))
    others = [draw(TEN, 5, side_px=side_px, key=key) for key in ((1, 0, 7), (0, 1, 7), (0, 0, 8))]
    assert all((other != first).any() for other in others)


def test_one_key_shows_one_scene_at_every_side() -> None:
    small, large = (draw(TEN, 2, side_px=side, key=(0, 0, 1)).astype(float) for side in (32, 128))
    reduced = large.reshape(32, 4, 32, 4, 3).mean(axis=(1, 3))
    assert np.abs(reduced - small).mean() < 3  # levels of 255; only the outlines' smoothing differs


@pytest.mark.parametrize("label", range(10))
def test_the_shape_fills_a_good_part_and_stays_inside(label: int) -> None:
    for i in range(50):
        shown = bright(draw(TEN, label, side_px=64, key=(3, 0, i)))
        rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
        extent = max(np.ptp(rows), np.ptp(columns)) + 1
        assert 0.45 * 64 < extent < 0.95 * 64
        assert 0.06 < shown.mean() < 0.6


def test_the_outline_alone_tells_the_class() -> None:
    """Nearest mean of outlines centred on their middle; chance is 10 %."""

    def centred(label: int, i: int) -> np.ndarray:
        shown = bright(draw(TEN, label, side_px=32, key=(0, 0, i))).astype(float)
        y, x = (int(np.mean(axis) + 0.5) - 16 for axis in np.nonzero(shown))
        return np.roll(shown, (-y, -x), axis=(0, 1))

    means = np.stack([np.mean([centred(label, i) for i in range(40)], axis=0) for label in range(10)])
    right = [
        int(((means - centred(label, i)) ** 2).sum(axis=(1, 2)).argmin() == label)
        for label in range(10)
        for i in range(1000, 1020)
    ]
    assert np.mean(right) > 0.85


def test_outlines_are_smooth() -> None:
    edge = draw(TEN, 1, side_px=64, key=(0, 0, 1)).max(axis=2).astype(int)
    levels = np.unique(edge)
    assert ((levels > 70) & (levels < 200)).sum() >= 10


@pytest.mark.parametrize("count", [1, 3, 10, 11, 40, 41, 240, 241, 1000])
def test_every_class_has_a_name_of_its_own(count: int) -> None:
    classes = ShapeClasses(count)
    names = [classes.name(label) for label in range(count)]
    assert len(set(names)) == count
    assert all(names)


def test_classes_grow_from_shape_to_texture_to_hue() -> None:
    assert ShapeClasses(10).name(5) == "star"
    assert ShapeClasses(20).name(15) == "striped star"
    assert ShapeClasses(240).name(45) == "yellow plain star"
    assert ShapeClasses(1000).name(45).startswith("hue ")
    assert len(SHAPES) == 10
    assert MAX_CLASSES == 14_400


def test_texture_and_hue_are_visible() -> None:
    twenty, many = ShapeClasses(20), ShapeClasses(240)
    plain, striped = (draw(twenty, label, side_px=64, key=(0, 0, 4)) for label in (0, 10))
    inside = bright(plain)
    assert striped.max(axis=2)[inside].std() > 2 * plain.max(axis=2)[inside].std()
    red, green = (draw(many, label, side_px=64, key=(0, 0, 4)) for label in (0, 80))
    assert many.name(0) == "red plain disc"
    assert many.name(80) == "green plain disc"
    assert red[bright(red)].mean(axis=0).argmax() == 0
    assert green[bright(green)].mean(axis=0).argmax() == 1
