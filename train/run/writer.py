"""Checkpoints written while training goes on: copied at once, then written, hashed and synced by a thread."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import torch
from torch import Tensor

Tensors = dict[str, dict[str, Tensor]]


class CheckpointWriter:
    """Writes the checkpoints of one run in the background, one at a time; as a context it waits for the last one.

    The copies stay allocated for the next checkpoint: as much memory as a checkpoint has bytes, pinned for a GPU.

    Args:
        device: where the tensors are.
        log: called with one line for a failure that is not raised, because another error ends the run.
    """

    def __init__(self, device: torch.device, *, log: Callable[[str], None]) -> None:
        self.log = log
        self.newest: Path | None = None  # known to be whole
        self._on_gpu = device.type == "cuda"
        self._buffers: dict[tuple[str, str], Tensor] = {}  # by file and name
        # Its thread is no daemon: the interpreter waits for it, however the run ends short of a kill.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint-writer")
        self._writing: Future[Path | None] | None = None

    def save(self, tensors: Mapping[str, Mapping[str, Tensor]], write: Callable[[Tensors], Path | None]) -> None:
        """Copy tensors and have the copies written; waits for the last write only.

        Args:
            tensors: by file and name; one name's shape is always the same.
            write: called in the thread with the copies; returns the folder, which is whole, or None for none.
        Raises:
            TrainError: if the last write failed.
        """
        self.wait()
        copies = self._copy(tensors)
        copied = torch.cuda.Event(blocking=True) if self._on_gpu else None  # whoever waits for it sleeps
        if copied is not None:
            copied.record()

        def write_copies() -> Path | None:
            if copied is not None:
                copied.synchronize()
            return write(copies)

        self._writing = self._thread.submit(write_copies)

    def check(self) -> None:
        """Raise, without waiting, the TrainError of a write that has failed."""
        if self._writing is not None and self._writing.done():
            self.wait()

    def wait(self) -> None:
        """Wait until nothing is being written.

        Raises:
            TrainError: if the last write failed.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            self.newest = writing.result() or self.newest

    def settle(self) -> None:
        """Wait as `wait` does where another error is about to end the run: a failure is logged instead of raised."""
        try:
            self.wait()
        except Exception as failure:
            self.log(str(failure))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if error is None:
                self.wait()
            else:
                self.settle()
        finally:
            self._thread.shutdown()

    def _copy(self, tensors: Mapping[str, Mapping[str, Tensor]]) -> Tensors:
        return {
            file: {name: self._copied((file, name), tensor.detach()) for name, tensor in named.items()}
            for file, named in tensors.items()
        }

    def _copied(self, key: tuple[str, str], tensor: Tensor) -> Tensor:
        """Copy in the stream of the updates, after the last one and before the next; a GPU has yet to do so."""
        if key not in self._buffers:
            self._buffers[key] = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=self._on_gpu)
        buffer = self._buffers[key]
        if tensor.is_cpu:
            # In one thread, which memory bounds already: PyTorch's threads would wait for each other at every tensor.
            np.copyto(buffer.numpy(), tensor.numpy())
        else:
            buffer.copy_(tensor, non_blocking=self._on_gpu)
        return buffer
