"""Results as files to look at and to take home."""

import contextlib
import json
import re
import shutil
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

from app.limits import LIMITS
from app.requests.base import MorphRequest, WalkRequest
from app.service import Result
from sngan_cond.images import save_animation, save_png, to_grid

PREFIX = "sngan-"


@dataclass(frozen=True)
class ResultFiles:
    """Where the parts of a result lie.

    Args:
        pictures: one PNG each, in order.
        grid: all of them in one PNG.
        bundle: zip of pictures, grid, animation and recipe.
        animation: GIF of a morph or walk.
    """

    pictures: list[Path]
    grid: Path
    bundle: Path
    animation: Path | None


def write_result(result: Result, root: Path) -> ResultFiles:
    """Write a result into a folder of its own, and remove old ones.

    Args:
        result: to be written.
        root: where the folder is made; made if missing.
    Returns:
        The files.
    """
    root.mkdir(parents=True, exist_ok=True)
    _remove_old(root)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
    stem = f"{_word(result.ask.tab)}-seed{result.ask.seed}"
    pictures = []
    for i, (picture, caption) in enumerate(zip(result.pictures, result.captions, strict=True)):
        path = folder / f"{stem}-{i + 1:02d}-{_word(caption)}.png"
        save_png(picture, path)
        pictures.append(path)
    moves = isinstance(result.ask, MorphRequest | WalkRequest)
    grid = folder / f"{stem}-{'strip' if moves else 'grid'}.png"
    save_png(to_grid(result.pictures, columns=result.columns), grid)
    animation = None
    if moves:
        animation = folder / f"{stem}.gif"
        save_animation(result.pictures, animation)
    bundle = folder / f"{stem}.zip"
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_STORED) as archive:  # PNG and GIF are compressed already
        for path in (*pictures, grid, *([] if animation is None else [animation])):
            archive.write(path, path.name)
        archive.writestr("recipe.json", json.dumps(result.recipe, indent=2, ensure_ascii=False) + "\n")
    return ResultFiles(pictures, grid, bundle, animation)


def _remove_old(root: Path) -> None:
    # Gradio removes what it has handed out, and forgets a file only if it is the one to remove it: so it goes first,
    # and what is left here are empty folders and files that nobody asked for.
    oldest = time.time() - 2 * LIMITS.keep_results_s
    for folder in root.glob(f"{PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):  # another request may be removing it too
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)


def _word(label: str) -> str:
    """Turn a label into part of a file name."""
    return re.sub(r"[^A-Za-z0-9]+", "-", label).strip("-")[:40].lower() or "picture"
