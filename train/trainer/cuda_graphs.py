"""Whole updates as CUDA graphs: recorded once with static inputs, then replayed without a launch from Python.

At 32 px an update is several hundred kernels of a few microseconds each, which Python launches more slowly than an H100
runs them (benchmarks/README.md). A replay is two launches with the exchange of gradients between them, which is never
recorded: so a graph is the same whatever the number of processes, and none waits inside for another process.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Protocol

import torch
from torch import Tensor

from sngan_cond.validation import one_line
from train.errors import TrainError

WARM_UP_UPDATES = 3  # eager updates first: libraries choose algorithms, optimisers make their state

Batches = Sequence[tuple[Any, ...]]  # micro-batches of tensors, or None where there are no labels
Exchange = Callable[[], None]


class Update(Protocol):
    """An update from micro-batches to named scalars, as it can be recorded."""

    def __call__(
        self, batches: Batches, rng: torch.Generator | None = None, exchange: Exchange | None = None
    ) -> dict[str, Tensor]:
        """Take one update with this process's micro-batches.

        Args:
            batches: of this process.
            rng: for what the update draws, if it draws.
            exchange: called once, between the gradients and their use; None is the exchange between processes.
        """
        ...


class GraphedUpdate:
    """An update that becomes two CUDA graphs after a few eager runs, each of which is a real update.

    Args:
        name: of the network, for what is said of a failure.
        update: must not wait for the device, and may change only tensors that stay where they are. Nothing may keep
            its autograd graph, whose nodes belong to the stream on which they were made.
        exchange: what happens to the gradients between the two graphs.
        pool: memory shared by all graphs of a run, from `torch.cuda.graph_pool_handle`.
    """

    def __init__(self, name: str, update: Update, *, exchange: Exchange, pool: Any) -> None:
        self.name, self.update, self.exchange, self.pool = name, update, exchange, pool
        # One for all eager runs: the allocator keeps what one stream has freed for that stream.
        self._beside = torch.cuda.Stream()
        self._runs = 0
        self._graphs: tuple[torch.cuda.CUDAGraph, torch.cuda.CUDAGraph] | None = None
        self._inputs: Batches = ()
        self._outputs: dict[str, Tensor] = {}

    def __call__(self, batches: Batches, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        """Take one update; batches of other shapes than the recorded ones run eagerly.

        A replay draws nothing from `rng`: only updates that do not are captured (`train.trainer.speed.plan_speed`).

        Raises:
            TrainError: if the update cannot be recorded.
        """
        if self._runs < WARM_UP_UPDATES:
            self._runs += 1
            return self._warm_up(batches, rng)
        gradients, apply = self._graphs = self._graphs or self._record(batches, rng)
        if _shapes(batches) != _shapes(self._inputs):
            return self.update(batches, rng)
        for inputs, batch in zip(self._inputs, batches, strict=True):
            for kept, given in zip(inputs, batch, strict=True):
                if kept is not None:
                    kept.copy_(given, non_blocking=True)
        gradients.replay()
        self.exchange()
        apply.replay()
        # Copies: the next replay writes over the graph's own outputs, and the loop may log these later.
        return {name: value.clone() for name, value in self._outputs.items()}

    def _warm_up(self, batches: Batches, rng: torch.Generator | None) -> dict[str, Tensor]:
        """Run beside the default stream, on which nothing can be captured, as PyTorch's notes on graphs ask."""
        self._beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._beside):
            parts = self.update(batches, rng)
        torch.cuda.current_stream().wait_stream(self._beside)
        return parts

    def _record(
        self, batches: Batches, rng: torch.Generator | None
    ) -> tuple[torch.cuda.CUDAGraph, torch.cuda.CUDAGraph]:
        """Record both graphs without running them: where the update would exchange, one ends and the other begins."""
        self._inputs = [tuple(None if t is None else t.clone() for t in batch) for batch in batches]
        gradients, apply = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        before = torch.cuda.current_stream()
        torch.cuda.synchronize()
        try:
            with ExitStack() as recording:

                def next_graph() -> None:
                    recording.close()
                    recording.enter_context(self._recording(apply))

                recording.enter_context(self._recording(gradients))
                self._outputs = self.update(self._inputs, rng, next_graph)
        except Exception as error:
            raise TrainError(
                f"capture of {self.name}: {one_line(_first_cause(error), 200)}; the run stops. The same command with "
                "--set speed.capture=false goes on without CUDA graphs"
            ) from error
        finally:
            torch.cuda.set_stream(before)  # a recording that cannot be ended leaves its own
        return gradients, apply

    def _recording(self, graph: torch.cuda.CUDAGraph) -> AbstractContextManager[None]:
        # Other threads may pin memory for the next batch, or ask how far an exchange is, which concerns no graph.
        return torch.cuda.graph(graph, pool=self.pool, capture_error_mode="thread_local")


def _first_cause(error: BaseException) -> BaseException:
    """Return what went wrong first: ending a recording that failed raises another error, which says less."""
    while error.__context__ is not None:
        error = error.__context__
    return error


def _shapes(batches: Batches) -> list[list[torch.Size | None]]:
    return [[None if t is None else t.shape for t in batch] for batch in batches]
