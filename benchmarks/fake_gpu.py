"""Tensors on a GPU that is not there, what is called on them, and their backward pass."""

import functools
import heapq
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import torch
from accelerate.utils import convert_outputs_to_fp32
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CUDA = torch.device("cuda")
aten = torch.ops.aten
_NO_KERNEL = {
    aten.empty.memory_format,
    aten.empty_like.default,
    aten.new_empty_strided.default,
    aten._unsafe_view.default,
    aten.new_empty.default,
}


class Operand(NamedTuple):
    """A tensor that an operator reads or writes."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    @property
    def bytes(self) -> int:
        """Bytes of its elements."""
        return math.prod(self.shape) * self.dtype.itemsize


class Launch(NamedTuple):
    """An operator that runs a kernel or more.

    Args:
        name: PyTorch's, as "convolution".
        is_backward: whether it belongs to the backward pass.
    """

    name: str
    inputs: tuple[Operand, ...]
    outputs: tuple[Operand, ...]
    is_backward: bool

    @property
    def bytes(self) -> int:
        """Bytes of all its operands."""
        return sum(operand.bytes for operand in (*self.inputs, *self.outputs))


class Trace(TorchDispatchMode):
    """Notes every operator that is not a mere view, while `notes` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.launches: list[Launch] = []
        self.is_backward, self.notes = False, True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator."""
        result = func(*args, **(kwargs or {}))
        if self.notes and func.namespace != "prim" and not func.is_view and func not in _NO_KERNEL:
            name = func.overloadpacket.__name__
            self.launches.append(Launch(name, operands_of((args, kwargs)), operands_of(result), self.is_backward))
        return result


def operands_of(tree: Any) -> tuple[Operand, ...]:
    """Describe all tensors of an operator's arguments or results."""
    return tuple(Operand(tuple(t.shape), t.stride(), t.dtype) for t in tree_leaves(tree) if isinstance(t, Tensor))


@contextmanager
def fake_gpu() -> Iterator[None]:
    """Make tensors on "cuda" without memory, and without a GPU."""
    # Which library convolves decides the layout of the result. PyTorch asks the driver for it; this is a GPU's answer.
    backend = torch._C._ConvBackend
    choice = mock.patch(
        "torch._C._select_conv_backend",
        lambda *_, transposed, **__: backend.CudnnTranspose if transposed else backend.Cudnn,
    )
    with choice, FakeTensorMode():
        yield


def in_bfloat16(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Autocast a forward pass as Accelerate does; without a GPU `torch.autocast` refuses."""

    @functools.wraps(forward)
    def run(*inputs: Any) -> Any:
        before = torch.get_autocast_dtype("cuda")
        torch.autocast_increment_nesting()
        torch.set_autocast_enabled("cuda", True)
        torch.set_autocast_dtype("cuda", torch.bfloat16)
        try:
            return forward(*inputs)
        finally:
            torch.set_autocast_enabled("cuda", False)
            torch.set_autocast_dtype("cuda", before)
            if torch.autocast_decrement_nesting() == 0:
                torch.clear_autocast_cache()

    return convert_outputs_to_fp32(run)


def run_backward(loss: Tensor) -> None:
    """Do what `loss.backward()` does, node by node.

    PyTorch's engine asks the driver for the device's context, fake tensors or not, and fails where there is no GPU.
    """
    waiting = _uses(loss.grad_fn)
    grads: dict[Any, list[Tensor | None]] = {node: [None] * len(node._input_metadata) for node in waiting}
    grads[loss.grad_fn] = [torch.ones_like(loss)]
    order = itertools.count()
    ready: list[tuple[int, int, Any]] = [(0, next(order), loss.grad_fn)]
    with torch.no_grad():
        while ready:
            node = heapq.heappop(ready)[-1]
            for (following, index), grad in zip(node.next_functions, _gradients(node, grads.pop(node)), strict=False):
                if following is None:
                    continue
                if grad is not None:
                    expected = following._input_metadata[index]
                    grad = grad.sum_to_size(expected.shape).to(expected.dtype)  # of what was broadcast or cast
                    before = grads[following][index]
                    grads[following][index] = grad if before is None else before + grad
                waiting[following] -= 1
                if not waiting[following]:  # the latest in the forward pass is the first in this one
                    heapq.heappush(ready, (-following._sequence_nr(), next(order), following))


def _uses(start: Any) -> Counter[Any]:
    """Count how many gradients each node of a graph waits for."""
    waiting, stack = Counter({start: 0}), [start]
    while stack:
        for node, _ in stack.pop().next_functions:
            if node is not None:
                if node not in waiting:
                    stack.append(node)
                waiting[node] += 1
    return waiting


def _gradients(node: Any, given: list[Tensor | None]) -> tuple[Tensor | None, ...]:
    """Return the gradients that a node passes on to its `next_functions`."""
    if all(grad is None for grad in given):
        return (None,) * len(node.next_functions)
    if hasattr(node, "variable"):  # the end of a path: called, it would copy a gradient that is still held here
        _accumulate(node.variable, given[0])
        return ()
    made = getattr(node, "apply", node)(*given)  # a function written in Python has `apply`
    made = made if isinstance(made, tuple) else (made,)
    if hasattr(node, "needs_input_grad"):  # such a one returns something for what is no tensor, too
        needed = iter([grad for grad, needs in zip(made, node.needs_input_grad, strict=True) if needs])
        made = tuple(None if following is None else next(needed) for following, _ in node.next_functions)
    return made


def _accumulate(parameter: Tensor, grad: Tensor | None) -> None:
    """Add to a parameter's gradient as PyTorch does: the first is kept as it is if it lies as the parameter does."""
    assert grad is not None
    if parameter.grad is not None:
        parameter.grad += grad
        return
    lies_alike = all(n == 1 or a == b for n, a, b in zip(grad.shape, grad.stride(), parameter.stride(), strict=True))
    parameter.grad = grad if lies_alike else torch.empty_like(parameter).copy_(grad)
