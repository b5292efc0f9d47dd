"""Results as the page shows them: JSON for its sheets, and files that `web` serves."""

import asyncio
import contextlib
import json
import shlex
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from app.engine import on_zero_gpu
from app.files import ResultFolder
from app.limits import LIMITS, InvalidRequest
from app.models import Model
from app.recipe import recipe_for, shown_weights
from app.requests.base import Request
from app.requests.origin import Label, Origin
from app.requests.single import single
from app.service import Progress, Result, Service, spaced
from app.turns import Visitor
from sngan_cond.classes import class_text
from sngan_cond.hub.files import BUNDLED

Value = dict[str, Any]  # of a sheet; `static/js/sheet.js` draws it
LABELS = {"grid": "Grid", "gif": "GIF", "webp": "WebP", "mp4": "MP4", "zip": "All (zip)"}  # of the files to download
OTHERS = 8  # classes that are offered for the latent of an image


class Results:
    """Makes what sheets show, and keeps the last results: whoever follows a link that was just made gets it at once.

    Args:
        root: folder for the files.
    """

    def __init__(self, service: Service, root: Path) -> None:
        self.service = service
        self.root = root
        self._kept: OrderedDict[str, Value] = OrderedDict()  # finished, by link
        self._guard = threading.Lock()  # of it

    def none(self, model: Model) -> Value:
        """Return the value of an empty sheet, which also says whose results may come."""
        return {"state": "idle", **_about(model)}

    def kept(self, model: Model, request: Request) -> Value | None:
        """Return the value of a result that is still there, or None."""
        link = recipe_for(model, request, request.labels(model.generator))["link"]
        with self._guard:
            value = self._kept.get(link)
            if value is None:
                return None
            self._kept.move_to_end(link)
        try:
            ResultFolder.open(self.root, value["result"])
        except InvalidRequest:  # its files have expired
            with self._guard:
                self._kept.pop(link, None)
            return None
        return value

    async def values(self, request: Request, visitor: Visitor) -> AsyncIterator[Value]:
        """Make the images of a request, and yield what its sheet shows each time there is more.

        Raises:
            InvalidRequest, CancelledError: as `Service.stream`.
        """
        started = time.perf_counter()
        model = self.service.models.opened(request.model, request.revision)
        if model is not None and (kept := await asyncio.to_thread(self.kept, model, request)) is not None:
            yield kept
            return
        value: Value = {"state": "waiting", "images": [], "status": ""}
        shown: _Shown | None = None
        async with contextlib.aclosing(self.service.stream(request, visitor)) as steps:
            async for step in steps:
                if isinstance(step, Result):
                    assert shown is not None, "a result comes after its images"
                    yield await asyncio.to_thread(self._finished, shown, step, time.perf_counter() - started)
                    return
                if step.stage == "making":
                    if shown is None:
                        shown = await asyncio.to_thread(_Shown, step.model, request, self.root)
                    await asyncio.to_thread(shown.add, step.images)
                    value = shown.value
                yield value | {"state": step.stage, "done": step.done, "total": step.total, "status": _status(step)}

    def keep(self, result: Result, seconds: float) -> None:
        """Keep a result that was made elsewhere, such as the one that warms the model up."""
        shown = _Shown(result.model, result.request, self.root)
        shown.add(result.images)
        self._finished(shown, result, seconds)

    def _finished(self, shown: "_Shown", result: Result, seconds: float) -> Value:
        value = shown.finished(result, seconds)
        with self._guard:
            self._kept[value["link"]] = value
            while len(self._kept) > LIMITS.results_kept:
                self._kept.popitem(last=False)
        return value


class _Shown:
    """The value of one sheet while its images arrive."""

    def __init__(self, model: Model, request: Request, root: Path) -> None:
        labels = request.labels(model.generator)
        names = [model.called(label) for label in labels]
        origins = request.origins(model.generator, labels)
        self._folder = ResultFolder.create(root, request)
        self._rest = iter(origins)
        titles = request.titles(names)
        # Where several classes share a row, each image says its own.
        self._captioned = len(titles) == 1 < len(labels) == len(origins) and request.tab == "sample"
        self._model, self._request = model, request
        self.value: Value = {
            **_about(model),
            "tab": request.tab,
            "moves": request.moves,
            "result": self._folder.name,
            "px": model.config.resolution,
            "title": request.told(names),
            "titles": titles,
            "columns": _columns(request, len(labels), len(origins)),
            "parents": [self._parent(origin) for origin in request.parents(model.config, labels)],
            "others": _others(model, labels),
            "images": [],
        }

    def add(self, images: Tensor) -> None:
        """Write further images, and list them."""
        origins = [next(self._rest) for _ in images]
        names = [self._model.called(origin.class_) for origin in origins]
        paths = self._folder.add(images, names)
        for path, origin, name in zip(paths, origins, names, strict=True):
            entry = {"file": path.name, "alt": name or "image", "link": self._link(origin)}
            entry |= {"latent": origin.latent, "class": origin.class_, "caption": name if self._captioned else ""}
            self.value["images"].append(entry)

    def finished(self, result: Result, seconds: float) -> Value:
        """Return the value of the whole result."""
        self._folder.finish(result)
        count, name = len(result.images), self._model.name
        return self.value | {
            "state": "done",
            "status": f"{count} image{'s' if count > 1 else ''} in {seconds:.1f} s",
            "total": count,
            "link": result.recipe["link"],
            "files": [{"kind": kind, "label": LABELS[kind]} for kind in self._folder.kinds() if kind in LABELS],
            "command": _folded(result.recipe["command"]),
            "python": result.recipe["python"],
            "note": f"{name} is a folder where this page runs: give the way to yours." if self._is_folder else "",
            "recipe": json.dumps(result.recipe, indent=2, ensure_ascii=False),
        }

    @property
    def _is_folder(self) -> bool:
        return self._model.commit_hash is None and self._model.name != BUNDLED

    def _parent(self, origin: Origin) -> Value:
        return {"link": self._link(origin), "alt": self._model.called(origin.class_) or "image"}

    def _link(self, origin: Origin) -> str:
        model = self._model
        request = single(origin, model.config, model=model.name, revision=model.commit_hash or "")
        return replace(request, weights_sha256=shown_weights(model)).link()


def _about(model: Model) -> Value:
    about = {"model": model.key, "weights": shown_weights(model), "classless": not model.config.num_classes}
    return about | {"lent": on_zero_gpu()}


def _status(step: Progress) -> str:
    if step.stage == "waiting":
        return f"Waiting: {step.ahead} before you" if step.ahead else "Waiting…"
    if step.stage == "opening":
        return "Opening the model…"
    return f"Making images: {step.done} of {step.total}"


def _columns(request: Request, classes: int, images: int) -> int:
    """Return the columns of a sheet: a row for each class, else 4 to 8."""
    rows = request.rows(classes)
    if 1 < rows < images:
        return min(16, images // rows)
    return min(8, max(4, images))


def _others(model: Model, labels: list[Label]) -> list[str]:
    """Return a few other classes, evenly spaced, in which the latent of an image can be shown."""
    first = [label for label in labels[:1] if isinstance(label, int)]
    chosen = dict.fromkeys([*first, *spaced(model.config.num_classes, OTHERS)])
    return [class_text(model.config, label) for label in chosen][:OTHERS]


def _folded(command: str | None) -> str:
    """Break a command into lines, one for each option."""
    if command is None:
        return ""
    words = [shlex.quote(word) for word in shlex.split(command)]
    return " ".join(f"\\\n  {word}" if word.startswith("--") else word for word in words)
