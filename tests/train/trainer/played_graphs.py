"""CUDA graphs played on the CPU: what an update launches goes on a tape, and a replay runs the tape again.

A tape holds operations and the very tensors they read and wrote, so a replay sees new values only where they were put
into those tensors, and a decision that Python took while recording is not taken again: as with a graph. What waits for
the device is refused, as CUDA refuses it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

REFUSED = "operation not permitted when stream is capturing"
_WAITS = {
    torch.ops.aten._local_scalar_dense,
    torch.ops.aten.nonzero,
    torch.ops.aten.equal,
    torch.ops.aten.masked_select,
}


class Tape(TorchDispatchMode):
    """A CUDA graph: `with tape:` records."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Callable[..., Any], Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in _WAITS:
            raise RuntimeError(REFUSED)
        out = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, out))
        return out

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, out in self.calls:
            for written, value in zip(_tensors(out), _tensors(func(*args, **kwargs)), strict=True):
                if written.untyped_storage().data_ptr() != value.untyped_storage().data_ptr():  # no view, not in place
                    written.copy_(value)


def _tensors(out: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]


class PlayedCuda:
    """`torch.cuda` as far as graphs ask for it.

    Args:
        state: every tensor that an update changes. Recording runs nothing on a GPU, so here it is undone.
    """

    def __init__(self, state: Callable[[], list[Tensor]]) -> None:
        self.state, self.stream, self.recorded = state, Stream("default"), 0

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {
            "Stream": lambda: Stream("side"),
            "current_stream": lambda: self.stream,
            "set_stream": self.set_stream,
            "stream": self.on_stream,
            "synchronize": lambda: None,
            "graph_pool_handle": lambda: "pool",
            "CUDAGraph": Tape,
            "graph": self.graph,
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)

    def set_stream(self, stream: "Stream") -> None:
        self.stream = stream

    @contextmanager
    def on_stream(self, stream: "Stream") -> Iterator[None]:
        before, self.stream = self.stream, stream
        yield
        self.stream = before

    @contextmanager
    def graph(self, tape: Tape, *, pool: object, capture_error_mode: str) -> Iterator[None]:
        """Record as `torch.cuda.graph`: after a failure its end raises too, and leaves its stream the current one."""
        assert (pool, capture_error_mode) == ("pool", "thread_local")
        kept = [(tensor, tensor.clone()) for tensor in self.state()]
        before, self.stream = self.stream, Stream("recording")
        try:
            with tape:
                yield
        except BaseException:
            raise RuntimeError("operation failed due to a previous error during capture")  # noqa: B904  # as PyTorch
        for tensor, value in kept:
            tensor.detach().copy_(value)
        self.stream, self.recorded = before, self.recorded + 1


class Stream:
    def __init__(self, name: str) -> None:
        self.name = name

    def wait_stream(self, _other: "Stream") -> None: ...
