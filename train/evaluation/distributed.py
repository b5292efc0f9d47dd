"""Shares of the work of several processes, and putting the shares together again."""

import contextlib
from collections.abc import Iterator
from typing import TypeVar

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import broadcast_object_list, gather, gather_object
from torch import Tensor

from train.errors import EvaluationError

GATHER_ROWS = 4096  # rows put together at a time, so that a GPU need not hold all features

T = TypeVar("T")


class Processes:
    """What an evaluation asks of the processes it runs on; one process asks nobody.

    Args:
        accelerator: an Accelerator or PartialState of a launched program; None for this process alone.
    """

    def __init__(self, accelerator: Accelerator | PartialState | None = None) -> None:
        self._state = accelerator
        self.count = 1 if accelerator is None else accelerator.num_processes
        self.rank = 0 if accelerator is None else accelerator.process_index
        self.is_main = self.rank == 0

    def share(self, count: int) -> tuple[int, int]:
        """Return start and stop of this process's part of `count` things; the first parts are the full ones."""
        size = -(-count // self.count)
        return min(self.rank * size, count), min((self.rank + 1) * size, count)

    def gather_rows(self, rows: Tensor, total: int) -> Tensor:
        """Put the rows of all processes together.

        Args:
            rows: (n, D) of this process's share, on the CPU.
            total: rows of all together.
        Returns:
            (total, D) on the CPU, in the order of the shares, on every process.
        """
        if self.count == 1 or self._state is None:
            return rows
        size = -(-total // self.count)
        padded = torch.zeros(size, *rows.shape[1:], dtype=rows.dtype)
        padded[: len(rows)] = rows
        shares: list[list[Tensor]] = [[] for _ in range(self.count)]
        for part in padded.split(GATHER_ROWS):
            everyone = gather(part.to(self._state.device)).cpu()
            for rank, piece in enumerate(everyone.split(len(part))):
                shares[rank].append(piece)
        return torch.cat([piece for pieces in shares for piece in pieces])[:total]

    def gather_list(self, items: list[T]) -> list[T]:
        """Join the lists of all processes, in the order of the processes."""
        return items if self.count == 1 else gather_object(items)

    def from_main(self, value: T) -> T:
        """Return the main process's value on every process."""
        if self.count == 1:
            return value
        return broadcast_object_list([value])[0]

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Do this process's part of a work: if a part fails, all do, for none may wait for one that has given up.

        Raises:
            EvaluationError: the first problem, in the order of the processes.
        """
        problem = None
        try:
            yield
        except EvaluationError as error:
            problem = str(error)
        for found in self.gather_list([problem]):
            if found is not None:
                raise EvaluationError(found)
