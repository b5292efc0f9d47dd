"""Requests straight to the engine."""

import threading
from collections.abc import Iterator

import torch
from torch import Tensor

from app.engine import Engine, Job
from app.turns import Visitor
from sngan_cond import Generator

ME = Visitor("10.0.0.1", "me")
LONGEST_S = 60  # for one batch


class Asking:
    """A request, and what has come of it.

    Args:
        count: of images.
        z, y: inputs; without them the latents are zeros of length `width` and the label is 0.
    """

    def __init__(
        self,
        engine: Engine,
        G: Generator,
        count: int,
        visitor: Visitor = ME,
        *,
        width: int = 8,
        z: Tensor | None = None,
        y: Tensor | None = None,
    ) -> None:
        self._engine = engine
        self._news = threading.Event()
        self.sizes: list[int] = []  # of what came at once
        z = torch.zeros(count, width) if z is None else z
        y = torch.zeros(count, dtype=torch.int64) if y is None else y
        self.job: Job = engine.start(G, z, y, visitor, self._news.set)

    def images(self) -> Iterator[torch.Tensor]:
        try:
            while sum(self.sizes) < len(self.job.z):
                assert self._news.wait(LONGEST_S)
                self._news.clear()
                while (made := self.job.take()) is not None:
                    self.sizes.append(len(made))
                    yield made
        finally:
            self._engine.end(self.job)

    def count(self) -> int:
        return sum(map(len, self.images()))


class Gate:
    """Holds the engine up before its first batch, so that what is asked meanwhile meets in the next one."""

    def __init__(self, G: Generator) -> None:
        self.held, self.open = threading.Event(), threading.Event()
        self._hook = G.register_forward_pre_hook(self._hold)

    def _hold(self, *_: object) -> None:
        self._hook.remove()
        self.held.set()
        assert self.open.wait(LONGEST_S)
