"""What the page does, without the page: open models, list classes, make pictures."""

import contextlib
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
from app.requests.base import AnyRequest, MixtureRequest, MorphRequest, SampleRequest
from app.requests.links import inputs_of
from sngan_cond.classes import class_label, search_classes

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Result:
    """Pictures and how they came about.

    Args:
        ask: what was asked for.
        model: that made them.
        pictures: (N, 3, R, R) uint8.
        captions: N short texts.
        recipe: how to make them again.
    """

    ask: AnyRequest
    model: Model
    pictures: Tensor
    captions: list[str]
    recipe: dict[str, Any]

    @property
    def columns(self) -> int:
        """Pictures in a row of the grid, as `sngan-cond` lays them out: a row for each class, a strip for a path."""
        if isinstance(self.ask, SampleRequest) and self.recipe["classes"]:
            return self.ask.count
        return (
            _square(len(self.pictures)) if isinstance(self.ask, SampleRequest | MixtureRequest) else len(self.pictures)
        )

    @property
    def columns_shown(self) -> int:
        """Pictures in a row where the page is wide enough for them."""
        one_class = isinstance(self.ask, SampleRequest) and len(self.recipe["classes"]) < 2
        in_rows = not one_class and not isinstance(self.ask, MixtureRequest) and self.columns >= 3
        return min(8, self.columns if in_rows else max(4, _square(len(self.pictures))))


@dataclass(frozen=True)
class ClassEntry:
    """A class as it is listed.

    Args:
        index: label.
        name: what to call it.
        wordnet_id: or None.
    """

    index: int
    name: str
    wordnet_id: str | None


class Service:
    """Everything the page, its API and its tests ask for.

    Args:
        sources: models to offer; see `ModelStore`.
        allow_repos: patterns of further repos.
        device: "auto", "cpu", "cuda" or "cuda:N".
    Raises:
        ValueError: if a value is not allowed.
    """

    def __init__(self, sources: Sequence[str], *, allow_repos: Sequence[str] = (), device: str = "auto") -> None:
        where = choose_device(device)
        self.models = ModelStore(sources, allow_repos=allow_repos, device=where)
        self.engine = Engine(where)
        self._running: dict[str, set[threading.Event]] = {}
        self._guard = threading.Lock()

    def open(self, name: str = "", revision: str = "", *, again: bool = False) -> Model:
        """Open a model; see `ModelStore.open`."""
        return self.models.open(text("model", name), text("revision", revision), again=again)

    def warm_up(self) -> None:
        """Open the first model and make a picture, so that no visitor waits for what happens only once."""
        if on_zero_gpu():
            return  # there is no GPU outside of a visitor's request
        with contextlib.suppress(InvalidRequest):  # told to the first visitor instead
            self.make(SampleRequest(classes=("0",) if self.open().config.num_classes else (), count=1))

    def make(self, ask: AnyRequest, *, visitor: str = "", progress: Progress | None = None) -> Result:
        """Make the pictures of a request.

        Args:
            ask: request.
            visitor: whose request it is, for `cancel`; empty for one that is never cancelled.
            progress: called with pictures made and pictures in all.
        Returns:
            The pictures and their recipe.
        Raises:
            InvalidRequest: if the model or a class is not to be had.
            CancelledError: if the visitor cancelled.
        """
        cancelled = threading.Event()
        with self._guard:
            self._running.setdefault(visitor, set()).add(cancelled)
        try:
            model = self.open(ask.model, ask.revision)
            (z, y), labels = inputs_of(model.G, ask)
            parts = []
            for part in self.engine.run(model.G, z, y, cancelled):
                parts.append(part)
                if progress is not None:
                    progress(sum(map(len, parts)), len(z))
        finally:
            with self._guard:
                self._running[visitor].discard(cancelled)
                if not self._running[visitor]:
                    del self._running[visitor]
        return Result(ask, model, torch.cat(parts), _captions(model, ask, labels), recipe_for(model, ask, labels))

    def cancel(self, visitor: str) -> int:
        """Stop what a visitor has running.

        Args:
            visitor: as given to `make`.
        Returns:
            How many requests were stopped.
        """
        with self._guard:
            events = list(self._running.get(visitor, ())) if visitor else []
        for event in events:
            event.set()
        return len(events)

    def classes(self, model: Model, query: Any = "", limit: Any = 20) -> list[ClassEntry]:
        """Find classes.

        Args:
            model: open model.
            query: part of a name or WordNet id, or an index; empty for the first classes.
            limit: how many at most.
        Raises:
            InvalidRequest: if a value is not allowed.
        """
        found = search_classes(
            model.config, text("query", query), whole_number("limit", limit, 1, max(1, LIMITS.listed_classes))
        )
        ids = model.config.class_ids
        return [ClassEntry(i, class_label(model.config, i), None if ids is None else ids[i]) for i in found]

    def surprise(self, model: Model, count: int) -> list[int]:
        """Choose classes by chance.

        Args:
            model: open model.
            count: how many, as far as there are so many.
        Raises:
            InvalidRequest: if the model has no classes.
        """
        total = model.config.num_classes
        if not total:
            raise InvalidRequest("this model has no classes to choose from")
        return sorted(random.sample(range(total), min(count, total)))

    def roll(self) -> int:
        """Choose a seed by chance, short enough to read out."""
        return random.randrange(2**31)


def _captions(model: Model, ask: AnyRequest, labels: list[list[int]]) -> list[str]:
    names = [[class_label(model.config, label) for label in row] for row in labels]
    if isinstance(ask, MorphRequest):
        last = len(names) - 1
        start, end = names[0][0], names[0][-1]
        return [start if i == 0 else end if i == last else f"{round(100 * i / last)} %" for i in range(last + 1)]
    if isinstance(ask, SampleRequest):
        return [row[0] if row else f"{i + 1}" for i, row in enumerate(names)]
    return [f"{i + 1}" for i in range(len(names))]


def _square(count: int) -> int:
    return next(columns for columns in range(1, count + 1) if columns * columns >= count)
