"""Results as files: images, grid or strip, animation, and a zip of everything."""

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
from app.service import Result
from sngan_cond.images import save_animation, save_png, to_grid

PREFIX = "sngan-"


@dataclass(frozen=True)
class ResultFiles:
    """Where the parts of a result lie."""

    images: list[Path]  # one PNG each, in order
    grid: Path  # all of them in one PNG
    bundle: Path  # zip of images, grid, animation and recipe
    animation: Path | None  # GIF of a morph or walk


def write_result(result: Result, root: Path) -> ResultFiles:
    """Write a result into a new folder below `root`, and remove folders that have expired."""
    root.mkdir(parents=True, exist_ok=True)
    _remove_old(root)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
    request = result.request
    stem = f"{request.tab}-seed{request.seed}"
    images = []
    for i, (image, caption) in enumerate(zip(result.images, result.captions, strict=True)):
        path = folder / f"{stem}-{i + 1:02d}-{_slug(caption)}.png"
        save_png(image, path)
        images.append(path)
    grid = folder / f"{stem}-{'strip' if request.moves else 'grid'}.png"
    save_png(to_grid(result.images, columns=result.columns), grid)
    animation = None
    if request.moves:
        animation = folder / f"{stem}.gif"
        save_animation(result.images, animation)
    bundle = folder / f"{stem}.zip"
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_STORED) as archive:  # PNG and GIF are compressed already
        for path in (*images, grid, *([] if animation is None else [animation])):
            archive.write(path, path.name)
        archive.writestr("recipe.json", json.dumps(result.recipe, indent=2, ensure_ascii=False) + "\n")
    return ResultFiles(images, grid, bundle, animation)


def _remove_old(root: Path) -> None:
    # Gradio deletes the files that it has served (`delete_cache`), and forgets one only if it deletes it itself: so it
    # goes first. By twice its time only empty folders are left here, and files that nobody opened.
    oldest = time.time() - 2 * LIMITS.keep_results_s
    for folder in root.glob(f"{PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):  # another request may be removing it too
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)


def _slug(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", label).strip("-")[:40].lower() or "picture"
