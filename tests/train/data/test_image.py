"""One image: modes, orientation, crop, fit, and what counts as bad."""

import io
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.refusals import refused
from tests.train.data.images import smooth_image
from train.data.image import BadImageError, Fitting, decode, to_rgb


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return io.BytesIO(file.getvalue())


def test_the_official_preparation_is_a_centre_crop_and_a_bilinear_resize() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, size=(31, 44, 3), dtype=np.uint8)
    top, left = 0, (44 - 31) // 2  # the official code's own arithmetic
    square = Image.fromarray(pixels[top : top + 31, left : left + 31])
    expected = np.asarray(square.resize((12, 12), Image.Resampling.BILINEAR))
    ours = Fitting(12).apply(Image.fromarray(pixels))
    np.testing.assert_array_equal(ours, expected)
    assert (Fitting(12, filter="box").apply(Image.fromarray(pixels)) != expected).any()


def test_an_image_of_the_right_size_is_left_alone() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, size=(16, 16, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Fitting(16).apply(Image.fromarray(pixels)), pixels)


def test_a_fixed_crop_is_taken_from_the_middle() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, size=(22, 18, 3), dtype=np.uint8)
    ours = Fitting(12, crop="center:12").apply(Image.fromarray(pixels))
    np.testing.assert_array_equal(ours, pixels[5:17, 3:15])


def test_padding_neither_enlarges_nor_stretches() -> None:
    pixels = np.full((28, 28, 3), 200, np.uint8)
    padded = Fitting(32, fit="pad").apply(Image.fromarray(pixels))
    np.testing.assert_array_equal(padded[2:30, 2:30], pixels)
    assert padded.sum() == pixels.sum()
    wide = Fitting(32, crop="none", fit="pad").apply(Image.new("RGB", (64, 32), "white"))
    assert wide[8:24].min() == 255
    assert wide[:8].max() == wide[24:].max() == 0
    stretched = Fitting(32, crop="none").apply(Image.new("RGB", (64, 32), "white"))
    assert stretched.min() == 255


def test_grey_becomes_three_equal_channels() -> None:
    grey = np.random.default_rng(1).integers(0, 256, size=(9, 9), dtype=np.uint8)
    for mode in ("L", "I;16"):
        stored = Image.fromarray(grey if mode == "L" else grey.astype(np.uint16) * 257)
        rgb = np.asarray(decode(encoded(stored)))
        np.testing.assert_array_equal(rgb, np.repeat(grey[:, :, None], 3, axis=2))
    one_bit = np.asarray(decode(encoded(Image.fromarray(grey).convert("1"))))
    assert set(one_bit.flatten().tolist()) == {0, 255}


def test_palette_and_cmyk_keep_their_colours() -> None:
    colours = Image.new("RGB", (8, 8), (255, 0, 0))
    colours.paste((0, 0, 255), (4, 0, 8, 8))
    palette = np.asarray(decode(encoded(colours.convert("P", palette=Image.Palette.ADAPTIVE))))
    np.testing.assert_array_equal(palette, np.asarray(colours))
    cmyk = np.asarray(decode(encoded(colours.convert("CMYK"), "JPEG", quality=100))).astype(int)
    assert np.abs(cmyk - np.asarray(colours)).mean() < 12  # chroma is stored at half resolution


def test_transparency_is_laid_on_white() -> None:
    image = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    image.putpixel((1, 2), (10, 20, 30, 255))
    rgb = np.asarray(decode(encoded(image)))
    assert rgb[2, 1].tolist() == [10, 20, 30]
    assert rgb[0, 0].tolist() == [255, 255, 255]
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([9, 9, 9, 200, 0, 0])
    palette.putpixel((1, 2), 1)
    rgb = np.asarray(decode(encoded(palette, transparency=bytes([0, 255]))))
    assert rgb[2, 1].tolist() == [200, 0, 0]
    assert rgb[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exif_orientation_is_applied(kind: str) -> None:
    upright = smooth_image(1, 40, 24)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned: a viewer rotates it by 90 degrees clockwise
    stored = upright.transpose(Image.Transpose.ROTATE_90)
    shown = decode(encoded(stored, kind, exif=exif, **({"quality": 100} if kind == "JPEG" else {})))
    assert shown.size == (40, 24)
    assert np.abs(np.asarray(shown).astype(int) - np.asarray(upright)).mean() < 3
    sideways = np.asarray(shown.transpose(Image.Transpose.ROTATE_180)).astype(int)
    assert np.abs(sideways - np.asarray(upright)).mean() > 20


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    file = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert np.asarray(decode(file))[0, 0].tolist() == [255, 0, 0]


def test_a_truncated_jpeg_is_bad_and_not_half_grey() -> None:
    whole = encoded(smooth_image(1, 200, 160), "JPEG", quality=95).getvalue()
    with pytest.raises(BadImageError) as caught:
        decode(io.BytesIO(whole[: len(whole) // 2]))
    assert caught.value.reason == "truncated"


@pytest.mark.parametrize(
    "content", [b"", b"not an image", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"GIF89a"]
)
def test_what_is_no_image_is_unreadable(content: bytes) -> None:
    with pytest.raises(BadImageError) as caught:
        decode(io.BytesIO(content))
    assert caught.value.reason in ("unreadable", "truncated")
    assert caught.value.detail


def test_every_cut_of_an_image_is_bad_or_whole(tmp_path: Path) -> None:
    """No cut of a file makes a decoder raise anything that would end a run."""
    for kind, options in (("JPEG", {}), ("PNG", {}), ("GIF", {}), ("WEBP", {}), ("TIFF", {}), ("BMP", {}), ("PPM", {})):
        whole = encoded(smooth_image(2, 30, 20), kind, **options).getvalue()
        bad = 0
        for size in range(0, len(whole), max(len(whole) // 60, 1)):
            path = tmp_path / "cut"
            path.write_bytes(whole[:size])
            try:
                assert decode(path).size == (30, 20)
            except BadImageError:
                bad += 1
        assert bad > 10, kind


def test_a_32_bit_image_is_refused_because_its_range_is_unknown() -> None:
    refused(lambda: decode(encoded(Image.new("F", (8, 8), 0.5), "TIFF")), "mode F", by=BadImageError)
    refused(lambda: to_rgb(Image.new("I", (8, 8), 70000)), "mode I;")


def test_too_small_names_both_sizes() -> None:
    for fitting, side, words in (
        (
            Fitting(8, min_side_px=10),
            (20, 9),
            "too_small: 20x9 px, allowed is 10 px a side or more; --min-side 9 allows it",
        ),
        (Fitting(8, crop="center:16", min_side_px=10), (20, 15), "allowed is 16 px"),
        (Fitting(8, crop="center:16", min_side_px=24), (30, 20), "allowed is 24 px"),
    ):
        refused(partial(fitting.apply, Image.new("RGB", side)), words, by=BadImageError)
    assert Fitting(8, min_side_px=9).apply(Image.new("RGB", (20, 9))).shape == (8, 8, 3)
