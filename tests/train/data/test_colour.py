"""Colour profiles and pixel modes against colours computed by hand."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.train.data import icc
from tests.train.data.images import made
from train.data.colour import to_rgb
from train.data.image import decode

PIXELS = np.random.default_rng(7).integers(0, 256, (20, 30, 3), np.uint8)
# Levels: half for rounding; the rest is Little CMS's 14 bits, which are coarse for the darkest colours.
CLOSE = 1.6


def apart(image: Image.Image, expected: np.ndarray) -> float:
    return float(np.abs(np.asarray(image, float).reshape(-1, 3) - expected).max())


@pytest.mark.parametrize(("primaries", "curve"), [(icc.P3, None), (icc.ADOBE, 563 / 256), (icc.SRGB, 461 / 256)])
def test_a_profile_is_converted_to_srgb(primaries: tuple[tuple[float, float], ...], curve: icc.Curve) -> None:
    expected = icc.shown(icc.linear(PIXELS.reshape(-1, 3) / 255, curve) @ icc.to_xyz(primaries).T)
    profile = icc.rgb_profile(icc.adapted() @ icc.to_xyz(primaries), curve)
    assert apart(to_rgb(Image.fromarray(PIXELS), profile), expected) < CLOSE
    assert apart(Image.fromarray(PIXELS), expected) > 15
    for kind in ("PNG", "TIFF"):
        Image.fromarray(PIXELS).save(file := io.BytesIO(), kind, icc_profile=profile)
        assert apart(decode(file), expected) < CLOSE
        np.testing.assert_array_equal(decode(file, colour_profile="ignore"), PIXELS)


def test_colours_are_converted_before_transparency_is_laid_on_white() -> None:
    alpha = np.full((20, 30), 100, np.uint8)
    image = Image.fromarray(np.dstack([PIXELS, alpha]))
    colours = icc.shown(icc.linear(PIXELS.reshape(-1, 3) / 255) @ icc.to_xyz(icc.P3).T)
    # The blend is rounded once more.
    assert apart(to_rgb(image, icc.P3_PROFILE), (colours * 100 + 255 * 155) / 255) < CLOSE + 0.5
    palette = Image.fromarray(PIXELS[:2]).convert("P", palette=Image.Palette.ADAPTIVE)
    expected = icc.shown(icc.linear(np.asarray(palette.convert("RGB")).reshape(-1, 3) / 255) @ icc.to_xyz(icc.P3).T)
    assert apart(to_rgb(palette, icc.P3_PROFILE), expected) < CLOSE


def test_grey_with_a_profile_for_grey() -> None:
    grey = Image.fromarray(PIXELS[:, :, 0])
    expected = icc.shown(icc.linear(PIXELS[:, :, 0].reshape(-1, 1) / 255, 461 / 256) * icc.D65)
    for image in (grey, Image.merge("LA", (grey, Image.new("L", grey.size, 255)))):
        assert apart(to_rgb(image, icc.grey_profile(461 / 256)), expected) < CLOSE


def test_cmyk_with_a_profile() -> None:
    corners = np.full((16, 3), (0, 128, 128))
    corners[0], corners[8], corners[2] = (255, 128, 128), (150, 110, 90), (220, 120, 200)  # paper, cyan, yellow
    inks = Image.new("CMYK", (3, 1))
    inks.putpixel((1, 0), (255, 0, 0, 0))
    inks.putpixel((2, 0), (0, 0, 255, 0))
    inks.save(file := io.BytesIO(), "TIFF", icc_profile=icc.cmyk_profile(corners))
    lab = corners[[0, 8, 2]] * (100 / 255, 1, 1) - (0, 128, 128)
    y = (lab[:, 0] + 16) / 116
    f = np.stack([y + lab[:, 1] / 500, y, y - lab[:, 2] / 200], 1)  # CIE 15
    xyz = np.where(f > 6 / 29, f**3, (f - 4 / 29) * 3 * (6 / 29) ** 2) * icc.D50
    expected = icc.shown(xyz @ np.linalg.inv(icc.adapted()).T)
    assert apart(decode(file), expected) < 2  # Lab in 8 bits is interpolated in 16
    assert apart(inks.convert("RGB"), expected) > 50


def test_srgb_by_another_name_keeps_every_bit() -> None:
    # The columns of the profile that most files carry, "sRGB IEC61966-2.1" of 1998, are not quite the standard's.
    columns = np.array([[0.43607, 0.22249, 0.01392], [0.38515, 0.71687, 0.09708], [0.14307, 0.06061, 0.71410]]).T
    image = Image.fromarray(PIXELS)
    assert to_rgb(image, icc.rgb_profile(columns)) is image
    assert to_rgb(image, icc.rgb_profile(columns, 2.2)) is not image


@pytest.mark.parametrize("profile", [b"x" * 200, icc.P3_PROFILE[:300], icc.grey_profile(1.8), b""])
def test_a_profile_that_cannot_be_used_costs_no_image(profile: bytes) -> None:
    Image.fromarray(PIXELS).save(file := io.BytesIO(), "PNG", icc_profile=profile)
    np.testing.assert_array_equal(decode(file), PIXELS)
    grey = Image.fromarray(PIXELS[:, :, 0])
    np.testing.assert_array_equal(to_rgb(grey, icc.P3_PROFILE), grey.convert("RGB"))  # for colours, not for grey


def test_what_is_asked_of_profiles_reaches_the_images(tmp_path: Path) -> None:
    (tmp_path / "p" / "a").mkdir(parents=True)
    square = Image.fromarray(PIXELS[:16, :16])
    square.save(tmp_path / "p" / "a" / "1.png", icc_profile=icc.P3_PROFILE)
    source = f"imagefolder:{tmp_path / 'p'}"
    converted = made(tmp_path, source)
    expected = icc.shown(icc.linear(np.asarray(square).reshape(-1, 3) / 255) @ icc.to_xyz(icc.P3).T)
    assert apart(converted.images[0], expected) < CLOSE
    ignored = made(tmp_path / "other", source, "--colour-profile", "ignore")
    np.testing.assert_array_equal(ignored.images[0], square)
    assert [x.info.preparation["colour_profile"] for x in (converted, ignored)] == ["convert", "ignore"]


def test_sixteen_bits_and_lab() -> None:
    grey = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000
    pgm = b"P5\n4 3\n65535\n" + grey.astype(">u2").tobytes()
    np.testing.assert_array_equal(np.asarray(decode(io.BytesIO(pgm)))[:, :, 1], grey >> 8)
    mild = Image.fromarray(PIXELS // 4 + 90)
    mild.convert("LAB").save(file := io.BytesIO(), "TIFF")
    # Lab in 8 bits is coarse: a level of a or b is up to four of a channel.
    assert apart(decode(file), np.asarray(mild).reshape(-1, 3)) < 6
