"""Whole updates as CUDA graphs: recorded once with static inputs, then replayed without a launch from Python.

At 32 px an update is several hundred kernels of a few microseconds each, which Python launches more slowly than an H100
runs them (benchmarks/README.md); a replay is one launch.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from sngan_cond.validation import one_line

WARM_UP_UPDATES = 3  # eager updates first: libraries choose algorithms, optimisers make their state

Batches = Sequence[tuple[Any, ...]]  # micro-batches of tensors, or None where there are no labels


class Update(Protocol):
    """An update from micro-batches to named scalars."""

    def __call__(self, batches: Batches, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        """Take one update with this process's micro-batches; `rng` is for what it draws, if it draws."""
        ...


class GraphedUpdate:
    """An update that becomes a CUDA graph after a few eager runs, each of which is a real update.

    Args:
        update: must not wait for the device, and may change only tensors that stay where they are.
        pool: memory shared by all graphs of a run, from `torch.cuda.graph_pool_handle`.
        zero_grad: sets gradients to None, so that recording makes them anew in the graph's own memory.
    """

    def __init__(self, update: Update, *, pool: Any, zero_grad: Callable[[], None]) -> None:
        self.update, self.pool, self.zero_grad = update, pool, zero_grad
        self.failure: str | None = None
        self._runs = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: Batches = ()
        self._outputs: dict[str, Tensor] = {}

    def __call__(self, batches: Batches, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        """Take one update; batches of other shapes than the recorded ones run eagerly.

        A replay draws nothing from `rng`: only updates that do not are captured (`train.trainer.speed.plan_speed`).
        """
        if self.failure is None and self._runs < WARM_UP_UPDATES:
            self._runs += 1
            return self._on_side_stream(batches, rng)
        if self.failure is not None or (self._graph is None and not self._record(batches, rng)):
            return self.update(batches, rng)
        if not self._fits(batches):
            return self.update(batches, rng)
        for inputs, batch in zip(self._inputs, batches, strict=True):
            for kept, given in zip(inputs, batch, strict=True):
                if kept is not None and given is not None:
                    kept.copy_(given, non_blocking=True)
        assert self._graph is not None
        self._graph.replay()
        # Copies: the next replay writes over the graph's own outputs, and the loop may log these later.
        return {name: value.clone() for name, value in self._outputs.items()}

    def _on_side_stream(self, batches: Batches, rng: torch.Generator | None) -> dict[str, Tensor]:
        """Warm up beside the default stream, on which nothing can be captured, as PyTorch's notes on graphs ask."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            parts = self.update(batches, rng)
        torch.cuda.current_stream().wait_stream(stream)
        return parts

    def _record(self, batches: Batches, rng: torch.Generator | None) -> bool:
        """Record without running; if that fails, note why and stay eager."""
        self._inputs = [tuple(None if t is None else t.clone() for t in batch) for batch in batches]
        self.zero_grad()
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        try:
            # Another thread may pin memory for the next batch meanwhile, which concerns no graph.
            with torch.cuda.graph(graph, pool=self.pool, capture_error_mode="thread_local"):
                self._outputs = self.update(self._inputs, rng)
        except RuntimeError as error:
            self.failure = one_line(error, 200)
            self.zero_grad()  # what was made during the recording lies in memory that goes with the graph
            return False
        self._graph = graph
        return True

    def _fits(self, batches: Batches) -> bool:
        shapes = [[None if t is None else t.shape for t in batch] for batch in batches]
        return shapes == [[None if t is None else t.shape for t in inputs] for inputs in self._inputs]
