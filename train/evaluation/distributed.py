"""An evaluation on several processes: each takes a shard of the work, and the results are put together again."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import broadcast_object_list, gather, gather_object
from torch import Tensor

from train.errors import EvaluationError

GATHER_ROWS = 4096  # rows gathered at a time, so that what is under way stays small beside the whole

T = TypeVar("T")


class Processes:
    """The processes of a launched program, or this one alone, which communicates with nobody.

    Args:
        accelerator: of the launched program; None for this process alone.
        before_collective: called before each, which some processes may reach hours after others.
    """

    def __init__(
        self,
        accelerator: Accelerator | PartialState | None = None,
        before_collective: Callable[[], None] = lambda: None,
    ) -> None:
        self._state, self._meet = accelerator, before_collective
        self.count = 1 if accelerator is None else accelerator.num_processes
        self.rank = 0 if accelerator is None else accelerator.process_index
        self.is_main = self.rank == 0

    def shard(self, count: int) -> tuple[int, int]:
        """Return start and stop of this process's part of `count` things; only the last parts may be short or empty."""
        size = -(-count // self.count)
        return min(self.rank * size, count), min((self.rank + 1) * size, count)

    def gather_rows(self, rows: Tensor, total: int) -> Tensor:
        """Concatenate the rows of all processes.

        Args:
            rows: (n, ...) of this process's shard.
            total: number of rows of all processes together.
        Returns:
            (total, ...) on the device of `rows`, in the order of the shards, on every process.
        """
        if self.count == 1 or self._state is None:
            return rows
        # Collectives need equal shapes everywhere. Short shards are at the end, so all padding ends up behind `total`.
        self._meet()
        size = -(-total // self.count)
        padded = rows.new_zeros(size, *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [
            gather(part.to(self._state.device)).to(rows.device).unflatten(0, (self.count, len(part)))
            for part in padded.split(GATHER_ROWS)
        ]
        return torch.cat(parts, dim=1).flatten(0, 1)[:total]

    def gather_list(self, items: list[T]) -> list[T]:
        """Concatenate the lists of all processes, in the order of their ranks."""
        if self.count == 1:
            return items
        self._meet()
        return gather_object(items)

    def from_main(self, value: T) -> T:
        """Return the main process's value on every process."""
        if self.count == 1:
            return value
        self._meet()
        return broadcast_object_list([value])[0]

    @contextlib.contextmanager
    def fail_together(self) -> Iterator[None]:
        """Raise on every process if the block raises on one; the others would wait for its next collective for ever.

        Raises:
            EvaluationError: the first one, in the order of the ranks. Other exceptions pass through at once.
        """
        problem = None
        try:
            yield
        except EvaluationError as error:
            problem = str(error)
        for found in self.gather_list([problem]):
            if found is not None:
                raise EvaluationError(found)
