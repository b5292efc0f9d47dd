"""What the page does, without the page: open models, list classes, make images."""

import asyncio
import contextlib
import math
import random
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from app.engine import Engine, choose_device
from app.limits import LIMITS, CancelledError, InvalidRequest, text, whole_number
from app.models import Model, ModelStore
from app.recipe import recipe_for
from app.requests.base import Request
from app.requests.sample import SampleRequest
from app.turns import Turns, Visitor
from sngan_cond.classes import class_text, search_classes

FIRST_CLASSES = 4  # of which a model's first images are
NOBODY = Visitor("", "")  # for requests from Python, which nobody cancels


@dataclass(frozen=True, eq=False)
class Progress:
    """How far a request has got; of what its stage says nothing about, the fields are 0 or empty."""

    stage: Literal["waiting", "opening", "making"]  # for its turn, the model, its images
    ahead: int = 0  # while waiting: requests of others that come before it
    done: int = 0  # while making: images made so far
    total: int = 0  # while making: images in all
    images: Tensor = field(default_factory=lambda: torch.empty(0, 3, 0, 0, dtype=torch.uint8))  # those not told before
    captions: list[str] = field(default_factory=list)  # theirs
    model: Model | None = None  # while making: whose they are


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
        self.turns = Turns()
        self._requests: set[_Running] = set()
        self._guard = threading.Lock()  # of the set
        self._openers = ThreadPoolExecutor(4, "open")  # apart from other threads: opening may take minutes

    def open(self, name: str = "", revision: str = "", *, again: bool = False) -> Model:
        """Open a model; see `ModelStore.open`."""
        return self.models.open(text("model", name), text("revision", revision), again=again)

    async def stream(self, request: Request, visitor: Visitor) -> AsyncIterator[Progress | Result]:
        """Make the images of a request, and tell how far they are.

        Whoever does not read to the end has to close the iterator, as `contextlib.aclosing` does.

        Args:
            visitor: whose request it is, for `cancel` and for a fair share.
        Yields:
            Progress, as soon as there is any: "waiting" only if others come first, "opening" only if the model is not
            open, "making" when it begins and after each batch. Last, the result.
        Raises:
            InvalidRequest: if too many requests are waiting, the model cannot be opened, or a class is unknown.
            CancelledError: if the visitor cancelled.
        """
        running = _Running(visitor)
        turn = self.turns.ask(visitor, running.wake)
        with self._guard:
            self._requests.add(running)
        try:
            while not turn.running:
                yield Progress("waiting", ahead=(ahead := turn.ahead))
                while not turn.running and turn.ahead == ahead:
                    await running.news()
                    if turn.refusal:
                        raise InvalidRequest(turn.refusal)
            model = self.models.opened(request.model, request.revision)
            if model is None:
                yield Progress("opening")
                model = await self._opened(request, running)
            recipe, z, y, captions = await asyncio.to_thread(_prepared, request, model)
            yield Progress("making", total=len(z), model=model)
            batches: list[Tensor] = []
            job = self.engine.start(model.generator, z, y, visitor, running.wake)
            try:
                while (done := sum(map(len, batches))) < len(z):
                    running.check()
                    images = job.take()
                    if images is None:
                        await running.news()
                        continue
                    batches.append(images)
                    told = captions[done : done + len(images)]
                    done += len(images)
                    yield Progress("making", done=done, total=len(z), images=images, captions=told, model=model)
            finally:
                self.engine.end(job)
        finally:
            with self._guard:
                self._requests.remove(running)
            self.turns.end(turn)
        yield Result(request, model, torch.cat(batches), captions, recipe)

    async def _opened(self, request: Request, running: "_Running") -> Model:
        opening = asyncio.get_running_loop().run_in_executor(self._openers, self.open, request.model, request.revision)
        opening.add_done_callback(lambda _: running.wake())
        try:
            while not opening.done():
                await running.news()
        finally:
            opening.cancel()  # unless a thread has begun, which nothing stops: the next visitor will find it open
        return opening.result()

    def make(self, request: Request) -> Result:
        """Make the images of a request from Python, outside of any event loop; see `stream`."""

        async def last() -> Result:
            async for step in self.stream(request, NOBODY):
                if isinstance(step, Result):
                    return step
            raise AssertionError("a stream ends with its result")

        return asyncio.run(last())

    def cancel(self, visitor: Visitor) -> int:
        """Stop what a visitor's session has waiting or running; the visitor may come from another address by now.

        Returns:
            How many requests were stopped.
        """
        with self._guard:
            stopped = [each for each in self._requests if visitor.session and each.visitor.session == visitor.session]
        for running in stopped:
            running.cancel()
        return len(stopped)

    def seconds_for(self, model: Model, images: int = 1) -> float | None:
        """Return how long so many images of one request take while nobody else asks; None if not yet measured."""
        return self.engine.seconds(model.generator, images)

    def default_count(self, model: Model, classes: int) -> int:
        """Return how many images of each of so many classes to begin with: up to 8, if they take no more than 3 s."""
        for count in range(8, 1, -1):
            seconds = self.seconds_for(model, count * max(1, classes))
            if seconds is None or seconds <= LIMITS.default_seconds:
                return count
        return 1

    def first_request(self, model: Model) -> SampleRequest:
        """Return what the page begins with: images of four classes, evenly spaced."""
        total = model.config.num_classes
        texts = tuple(class_text(model.config, label) for label in spaced(total, FIRST_CLASSES))
        count = self.default_count(model, len(texts))
        return SampleRequest(model=model.name, revision=model.revision, classes=texts, count=count)

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


def spaced(total: int, count: int) -> list[int]:
    """Return so many of a number of labels, evenly spaced; all, if there are fewer."""
    count = min(count, total)
    return [i * total // count for i in range(count)]


class _Running:
    """A request that is being answered: what its coroutine waits for, and how others reach it from any thread."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self._cancelled = False
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Let `news` return."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the coroutine
            self._loop.call_soon_threadsafe(self._news.set)

    def cancel(self) -> None:
        """Let `news` and `check` raise."""
        self._cancelled = True
        self.wake()

    def check(self) -> None:
        """Raise CancelledError if the visitor cancelled."""
        if self._cancelled:
            raise CancelledError

    async def news(self) -> None:
        """Wait until something has changed; what, only the caller can see.

        Raises:
            CancelledError: if the visitor cancelled.
        """
        self.check()
        await self._news.wait()
        self._news.clear()
        self.check()


def _prepared(request: Request, model: Model) -> tuple[dict[str, Any], Tensor, Tensor | None, list[str]]:
    """Return a request's recipe, the generator's inputs and the captions."""
    labels = request.labels(model.generator)
    z, y = request.inputs(model.generator, labels)
    recipe = recipe_for(model, request, labels)  # before the images, as it may refuse a name that is too long
    return recipe, z, y, request.captions(len(z), list(map(model.called, labels)))
