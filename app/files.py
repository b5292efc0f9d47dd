"""Results as files: a folder for each, with its images, and whatever else somebody asks to download of it."""

import asyncio
import contextlib
import json
import math
import os
import re
import secrets
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from gradio.utils import get_upload_folder
from PIL import Image
from torch import Tensor

from app.limits import LIMITS, InvalidRequest, short_repr
from app.requests.base import Request
from app.service import Progress, Result, Service
from app.turns import Visitor
from sngan_cond.images import save_animation, save_png, to_grid
from sngan_cond.stored import parse_json

FRAME_MS = 120
VIDEO_PX = 256  # at least: players blur smaller images
SWEEP_S = 60  # between two looks for expired folders: a look at thousands of them takes as long as an image

_STEM = re.compile(r"[a-z]+(-seed[0-9]+)?")
_IMAGE = re.compile(rf"{_STEM.pattern}-[0-9]{{2}}-[a-z0-9-]+\.png")
_NAME = re.compile(r"sngan-[0-9a-f]{32}")
_swept: dict[Path, float] = {}  # when each root was looked through, by the clock that never goes back


class ResultFolder:
    """The files of one result: PNGs as they are made, the rest when it is first asked for.

    Whoever knows the name can fetch what is inside, so it cannot be guessed. Several threads may ask at once.

    Args:
        root: folder in which results lie.
        name: of this one in it.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self.path = root / name
        self._stem = "images"

    @classmethod
    def create(cls, root: Path, request: Request) -> Self:
        """Make the folder of a request that is being answered, and remove expired ones."""
        folder = cls(root, f"sngan-{secrets.token_hex(16)}")
        folder._stem = _stem(request.tab, request.named("recipe"))
        folder.path.mkdir(parents=True)
        if time.monotonic() - _swept.get(root, -math.inf) > SWEEP_S:
            _swept[root] = time.monotonic()
            remove_expired(root)
        return folder

    @classmethod
    def open(cls, root: Path, name: str) -> Self:
        """Return the folder of a finished result, which then is kept as long as a new one.

        Raises:
            InvalidRequest: if there is none of this name, or no longer.
        """
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InvalidRequest(f"result is {short_repr(name)}: the name of a result is expected")
        folder = cls(root, name)
        try:
            if time.time() - folder.path.stat().st_mtime > LIMITS.keep_results_s:
                raise FileNotFoundError
            recipe = folder._read("recipe.json")
            folder._stem = _stem(str(recipe["kind"]), recipe)
            if not _STEM.fullmatch(folder._stem):
                raise ValueError(folder._stem)
            for path in (*folder.path.glob("[!.]*"), folder.path):  # Gradio looks at each file's age
                os.utime(path)
        except (FileNotFoundError, ValueError, LookupError) as error:  # the latter two of a damaged recipe
            raise InvalidRequest("these images are no longer kept: make them again") from error
        return folder

    @classmethod
    def find(cls, root: Path, name: str, kind: str) -> Path:
        """Return a file of a result; its images also while others are still being made.

        Raises:
            InvalidRequest: as `open` and `file` do.
        """
        if _NAME.fullmatch(name) and _IMAGE.fullmatch(kind) and (path := root / name / kind).is_file():
            return path
        return cls.open(root, name).file(kind)

    def add(self, images: Tensor, captions: Sequence[str]) -> list[Path]:
        """Write the next images, one PNG each.

        Args:
            images: (n, 3, R, R) uint8.
            captions: theirs.
        Returns:
            Their paths.
        """
        first = len(self.images) + 1
        paths = []
        for i, (image, caption) in enumerate(zip(images, captions, strict=True), start=first):
            path = self.path / f"{self._stem}-{i:02d}-{_slug(caption)}.png"
            save_png(image, path)
            paths.append(path)
        return paths

    def finish(self, result: Result) -> None:
        """Write what the other files are made from, once all images have been added."""
        self._write("layout.json", {"columns": result.columns, "moves": result.request.moves})
        self._write("recipe.json", result.recipe)

    @property
    def images(self) -> list[Path]:
        """The PNGs so far, in order."""
        return sorted(self.path.glob(f"{self._stem}-[0-9][0-9]-*.png"))

    def kinds(self) -> list[str]:
        """Return what `file` can be asked for, of a finished result."""
        return [*(animation_kinds() if self._layout()["moves"] else []), "grid", "recipe", "zip"]

    def file(self, kind: str) -> Path:
        """Return the path of a file, which is made if nobody has asked for it before.

        Args:
            kind: one of `kinds()`, or the name of one of the images.
        Raises:
            InvalidRequest: if there is no such file, or the images are not complete or no longer kept.
        """
        try:
            allowed = self.kinds()
            named = [path for path in self.images if path.name == kind]
            if kind not in allowed and not named:
                raise InvalidRequest(
                    f"file is {short_repr(kind)}: {', '.join(allowed)} or the name of an image is allowed"
                )
            os.utime(self.path)
            return named[0] if named else self._made(kind)
        except FileNotFoundError as error:
            raise InvalidRequest("these images are not complete, or no longer kept: make them again") from error

    def _made(self, kind: str) -> Path:
        if kind == "recipe":
            return self.path / "recipe.json"
        if kind == "grid":
            name = f"{self._stem}-{'strip' if self._layout()['moves'] else 'grid'}.png"
        else:
            name = f"{self._stem}.{kind}"
        path = self.path / name
        if not path.exists():
            makers: dict[str, Callable[[Path], None]] = {"grid": self._save_grid, "zip": self._save_zip}
            with _draft(path) as draft:
                makers.get(kind, self._save_animation)(draft)
        return path

    def _save_grid(self, path: Path) -> None:
        save_png(to_grid(self._tensor(), columns=self._layout()["columns"]), path)

    def _save_animation(self, path: Path) -> None:
        save = _save_video if path.suffix == ".mp4" else save_animation
        save(self._tensor(), path, frame_ms=FRAME_MS)

    def _save_zip(self, path: Path) -> None:
        others = ["grid", *(["gif"] if self._layout()["moves"] else []), "recipe"]
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:  # PNG and GIF are compressed already
            for member in (*self.images, *map(self._made, others)):
                archive.write(member, member.name)

    def _tensor(self) -> Tensor:
        arrays = []
        for path in self.images:
            with Image.open(path) as image:
                arrays.append(np.array(image))
        return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)

    def _layout(self) -> dict[str, Any]:
        return self._read("layout.json")

    def _read(self, name: str) -> dict[str, Any]:
        return parse_json((self.path / name).read_text(encoding="utf-8"), name=name)

    def _write(self, name: str, values: dict[str, Any]) -> None:
        with _draft(self.path / name) as draft:
            draft.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def results_root() -> Path:
    """Return the folder of the results, whose files Gradio serves to clients too."""
    return Path(get_upload_folder()) / "results"


async def make_files(
    service: Service,
    request: Request,
    visitor: Visitor,
    root: Path,
) -> tuple[Result, ResultFolder]:
    """Make the images of a request, each batch written while the next one is computed.

    Args:
        service, request, visitor: as for `Service.stream`, which also says what is raised.
        root: folder in which results lie.
    Returns:
        The result and its finished folder.
    """
    folder: ResultFolder | None = None

    def add(step: Progress) -> ResultFolder:
        made = folder or ResultFolder.create(root, request)
        made.add(step.images, step.captions)
        return made

    async with contextlib.aclosing(service.stream(request, visitor)) as steps:
        async for step in steps:
            if isinstance(step, Result):
                assert folder is not None  # there is at least one image
                await asyncio.to_thread(folder.finish, step)
                return step, folder
            if len(step.images):
                folder = await asyncio.to_thread(add, step)
    raise AssertionError("a stream ends with its result")


def animation_kinds() -> list[str]:
    """Return the formats in which morphs and walks can be downloaded here."""
    return ["gif", "webp", *(["mp4"] if _makes_videos() else [])]


@cache
def _makes_videos() -> bool:
    try:
        import av  # not before somebody asks: it takes 15 MB
    except ImportError:
        return False
    return "libx264" in av.codecs_available


def remove_expired(root: Path) -> None:
    """Remove the folders that nobody may open any more."""
    # Gradio deletes the files that it has served (`delete_cache`), and forgets one only if it deletes it itself: it
    # looks every quarter of the time for which results are kept, and so has had a chance to be first.
    oldest = time.time() - 1.5 * LIMITS.keep_results_s
    for path in root.glob("sngan-*"):
        with contextlib.suppress(FileNotFoundError):  # another request may be removing it too
            if path.stat().st_mtime < oldest:
                shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """Yield a path whose file takes its place at the end, whole; not `atomic_file`, whose draft is one a process."""
    draft = path.with_name(f".{secrets.token_hex(8)}{path.suffix}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _save_video(frames: Tensor, path: Path, *, frame_ms: int) -> None:
    """Write images, (N, 3, H, W) uint8, as a video that all browsers play."""
    import av

    height, width = frames.shape[2:]
    factor = math.ceil(VIDEO_PX / min(height, width))
    factor += factor * height * width % 2  # colour has half the resolution, so sides are even
    frames = frames.repeat_interleave(factor, 2).repeat_interleave(factor, 3).permute(0, 2, 3, 1).contiguous()
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as video:
        stream = video.add_stream("libx264", rate=Fraction(1000, frame_ms), options={"crf": "18"})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        for frame in frames:
            video.mux(stream.encode(av.VideoFrame.from_ndarray(frame.numpy(), format="rgb24")))
        video.mux(stream.encode(None))


def _stem(kind: str, values: dict[str, Any]) -> str:
    """Return what the names of a result's files begin with; where a latent has a name, no seed draws it."""
    return f"{kind}-seed{values['seed']}" if "seed" in values else kind


def _slug(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", label).strip("-")[:40].lower() or "image"
