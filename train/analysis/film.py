"""A run's sample grids, one after the other: an animation, and the same pictures singly."""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError

from sngan_cond.stored import open_regular
from sngan_cond.validation import one_line

FOLDER = "samples"  # of the run's
MAX_FRAMES = 36  # each is in the page twice, with 100 kB or less
SMALL_PX, MAX_PX = 480, 1024  # a grid whose shorter side is smaller is doubled; one whose longer is larger is reduced
FRAME_MS, LAST_MS = 500, 2500
_STRIP_PX, _FONT_PX, _MARGIN_PX = 26, 16, 4
_NAME = re.compile(r"step-(\d{8,})\.png")
_WEBP = {"format": "WEBP", "quality": 80, "method": 4}


class Still(NamedTuple):
    """One grid, its images seen written above it, as a WebP file."""

    step: int
    images_seen: int
    webp: bytes


class Film(NamedTuple):
    """What there is of a run's grids.

    Args:
        stills: in the order of their steps.
        moving: an animated WebP file of these, which repeats; empty where there are none.
        size: of every frame, (width, height) in pixels.
        kept: grids that the folder has, of which `stills` are all, or as many as are shown, evenly spread.
        problems: a line for each that cannot be read, or the reason why there are none.
    """

    stills: list[Still]
    moving: bytes
    size: tuple[int, int]
    kept: int
    problems: list[str]


def read_film(run: Path, *, images_per_step: int) -> Film:
    """Read the grids of a run's folder.

    Args:
        run: its folder; what cannot be read there is a problem and no error.
        images_per_step: real images shown to D in a step.
    """
    folder = run / FOLDER
    try:
        named = {path: _NAME.fullmatch(path.name) for path in folder.iterdir()}
    except OSError as error:
        return Film([], b"", (0, 0), 0, [f"There are no sample grids: {FOLDER}/ cannot be read ({error.strerror})"])
    paths = {int(name[1]): path for path, name in named.items() if name}
    if not paths:
        return Film([], b"", (0, 0), 0, [f"There are no sample grids: {FOLDER}/ has no step-NUMBER.png"])
    grids, problems = {}, []
    for step in evenly(sorted(paths), MAX_FRAMES):
        try:
            grids[step] = _fitted(_read(paths[step]))
        except _UNREADABLE as error:
            reason = getattr(error, "strerror", None) or one_line(error, 200) or type(error).__name__
            reason = "no picture" if isinstance(error, UnidentifiedImageError) else reason  # whose words are of memory
            problems.append(f"{FOLDER}/{paths[step].name} cannot be read ({reason})")
    if not grids:
        return Film([], b"", (0, 0), len(paths), problems)
    captions = {step: f"{step * images_per_step:,} images seen, step {step:,}" for step in grids}
    frames = _captioned(grids, captions)
    stills = [Still(step, step * images_per_step, _encoded(frame)) for step, frame in frames.items()]
    first, *others = frames.values()
    times = [FRAME_MS] * len(others) + [LAST_MS]
    moving = _encoded(first, save_all=True, append_images=others, duration=times, loop=0)
    return Film(stills, moving, first.size, len(paths), problems)


# What Pillow raises for files that are no pictures, are cut, damaged, or larger than it reads.
_UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning)


def evenly(steps: Sequence[int], count: int) -> list[int]:
    """Return as many of some steps, evenly spread from the first to the last; all of them where they are fewer."""
    last = len(steps) - 1
    return list(steps) if len(steps) <= count else [steps[round(i * last / (count - 1))] for i in range(count)]


def _read(path: Path) -> Image.Image:
    with open_regular(path) as file, Image.open(file, formats=["PNG"]) as image:
        return image.convert("RGB")


def _fitted(image: Image.Image) -> Image.Image:
    """Double a small grid, whose colours WebP would blur, for it has them at every second pixel; reduce a large one."""
    if min(image.size) < SMALL_PX and 2 * max(image.size) <= MAX_PX:
        return image.resize((2 * image.width, 2 * image.height), Image.Resampling.NEAREST)
    image.thumbnail((MAX_PX, MAX_PX), Image.Resampling.BOX)
    return image


def _captioned(grids: dict[int, Image.Image], captions: dict[int, str]) -> dict[int, Image.Image]:
    """Put grids, which may be of several sizes, into frames of one, each below its caption."""
    font = ImageFont.load_default(_FONT_PX)
    texts = [int(font.getlength(text)) + 2 * _MARGIN_PX for text in captions.values()]
    width = max(*texts, *(grid.width for grid in grids.values()))
    height = _STRIP_PX + max(grid.height for grid in grids.values())
    frames = {}
    for step, grid in grids.items():
        frames[step] = frame = Image.new("RGB", (width, height), "white")
        frame.paste(grid, (0, _STRIP_PX))
        ImageDraw.Draw(frame).text((_MARGIN_PX, _STRIP_PX // 2), captions[step], "black", font, anchor="lm")
    return frames


def _encoded(frame: Image.Image, **more: object) -> bytes:
    frame.save(file := io.BytesIO(), **_WEBP, **more)  # type: ignore[arg-type]
    return file.getvalue()
