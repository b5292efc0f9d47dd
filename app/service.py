"""What the page does, without the page: open models, list classes, make images."""

import contextlib
import math
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from app.engine import Engine, choose_device, on_zero_gpu
from app.limits import LIMITS, InvalidRequest, text, whole_number
from app.models import Model, ModelStore
from app.recipe import recipe_for
from app.requests.base import Request
from app.requests.sample import SampleRequest
from sngan_cond.classes import class_label, search_classes

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Result:
    """Images and how they came about."""

    request: Request
    model: Model
    images: Tensor  # (N, 3, R, R) uint8
    captions: list[str]
    recipe: dict[str, Any]

    @property
    def columns(self) -> int:
        """Columns of the grid, as `sngan-cond` lays it out: a row for each class, one strip for a path."""
        return len(self.images) // self._rows if self._rows else self._side

    @property
    def columns_shown(self) -> int:
        """Columns where the page is wide enough for them: at most 8, at least 4 where rows mean nothing."""
        means_rows = self.request.moves or self._rows > 1
        return min(8, self.columns if means_rows and self.columns >= 3 else max(4, self._side))

    @property
    def _rows(self) -> int:
        return self.request.rows(len(self.recipe["classes"]))

    @property
    def _side(self) -> int:
        """Side of the smallest square of cells that holds the images."""
        return math.isqrt(len(self.images) - 1) + 1


class Service:
    """Everything that the page, its API and its tests need done.

    Args:
        device: "auto", "cpu", "cuda", "cuda:N" or "mps"; the others are as for `ModelStore`.
    Raises:
        ValueError: if a value is not allowed.
    """

    def __init__(self, sources: Sequence[str], *, allow_repos: Sequence[str] = (), device: str = "auto") -> None:
        where = choose_device(device)
        self.models = ModelStore(sources, allow_repos=allow_repos, device=where)
        self.engine = Engine()
        self._running: dict[str, set[threading.Event]] = {}  # a visitor may have several tabs and requests
        self._guard = threading.Lock()  # of _running

    def open(self, name: str = "", revision: str = "", *, again: bool = False) -> Model:
        """Open a model; see `ModelStore.open`."""
        return self.models.open(text("model", name), text("revision", revision), again=again)

    def warm_up(self) -> None:
        """Open the first model and make an image, so that no visitor waits for what happens only once."""
        if on_zero_gpu():
            return  # there is no GPU outside of a visitor's request
        with contextlib.suppress(InvalidRequest):  # the first visitor will see the message
            self.make(SampleRequest(classes=("0",) if self.open().config.num_classes else (), count=1))

    def make(self, request: Request, *, visitor: str = "", progress: Progress | None = None) -> Result:
        """Make the images of a request.

        Args:
            visitor: whose request it is, for `cancel`; empty for one that cannot be cancelled.
            progress: called with the number of images made and the number in all.
        Raises:
            InvalidRequest: if the model cannot be opened, or a class is unknown.
            CancelledError: if the visitor cancelled.
        """
        cancelled = threading.Event()
        with self._guard:  # before the model is opened, which takes longest: Stop works from the start
            self._running.setdefault(visitor, set()).add(cancelled)
        try:
            model = self.open(request.model, request.revision)
            labels = request.labels(model.generator)
            z, y = request.inputs(model.generator, labels)
            recipe = recipe_for(model, request, labels)  # before the images, as it may refuse a name that is too long
            batches = []
            for batch in self.engine.run(model.generator, z, y, cancelled):
                batches.append(batch)
                if progress is not None:
                    progress(sum(map(len, batches)), len(z))
        finally:
            with self._guard:
                self._running[visitor].discard(cancelled)
                if not self._running[visitor]:
                    del self._running[visitor]
        names = [class_label(model.config, label) if isinstance(label, int) else label for label in labels]
        return Result(request, model, torch.cat(batches), request.captions(len(z), names), recipe)

    def cancel(self, visitor: str) -> int:
        """Stop what a visitor, as given to `make`, has running; returns how many requests were stopped."""
        with self._guard:
            events = list(self._running.get(visitor, ())) if visitor else []
        for event in events:
            event.set()
        return len(events)

    def classes(self, model: Model, query: Any = "", limit: Any = 20) -> list[dict[str, Any]]:
        """Find classes, best first.

        Args:
            query: part of a name or WordNet id, or an index; empty for the first classes.
        Raises:
            InvalidRequest: if a value is not allowed.
        """
        query, limit = text("query", query), whole_number("limit", limit, 1, LIMITS.listed_classes)
        return [model.described(label) for label in search_classes(model.config, query, limit)]

    def random_classes(self, model: Model, count: int) -> list[int]:
        """Choose distinct labels at random: `count` of them, or all if there are fewer, in ascending order.

        Raises:
            InvalidRequest: if the model has no classes.
        """
        total = model.config.num_classes
        if not total:
            raise InvalidRequest("this model has no classes to choose from")
        return sorted(random.sample(range(total), min(count, total)))

    def random_seed(self) -> int:
        """Choose a seed at random, short enough to read out."""
        return random.randrange(2**31)
