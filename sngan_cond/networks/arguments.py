"""The arguments of a network's call: taken as people write them, and checked where a check makes nobody wait.

PyTorch's tracers and compilers get the plain call: what a check reads off one batch must not be written into a graph.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import Proxy

from sngan_cond.fast.eager import runs_eagerly
from sngan_cond.validation import short_repr

_TENSORS = (Tensor, Proxy)
_LABELS = {False: "int64 labels", True: "int64 labels or float class weights"}  # by whether weights are allowed

Array = Tensor | np.ndarray[Any, Any] | Sequence[Any]


def take_rows(network: nn.Module, name: str, rows: Array, shape: tuple[int, ...]) -> Tensor:
    """Return latents or images on the network's device and, outside of autocast, in its type.

    Args:
        network: whose first parameter says device and type.
        name: what the messages call the argument, such as "z".
        rows: (N, *shape), floating point.
        shape: of one latent or image.
    Raises:
        ValueError: if they are of another shape or kind.
    """
    taken = rows if isinstance(rows, _TENSORS) else _tensor(name, rows, f"numbers of shape {_rows_of(shape)} are")
    if not runs_eagerly(taken):
        return taken
    if taken.shape[1:] != shape or taken.ndim == 0:
        raise ValueError(f"{name} of shape {tuple(taken.shape)}: {_rows_of(shape)} is allowed")
    if not taken.is_floating_point():
        raise ValueError(f"{name} of {taken.dtype}: floating-point numbers are allowed")
    first = next(network.parameters(), taken)  # the copies that DataParallel makes have none
    dtype = taken.dtype if _chooses_types(first.device.type) else first.dtype
    return taken.to(first.device, dtype)


def take_labels(y: Array | int, rows: Tensor, num_classes: int, *, weights: bool) -> Tensor:
    """Return labels, or class weights, on the device of what they belong to.

    Their range is checked on the CPU only: a GPU would have to be waited for.

    Args:
        y: integers (N,), or one for all; float class weights (N, num_classes) where these are allowed.
        rows: N latents or images.
        num_classes: K.
        weights: whether class weights are allowed.
    Raises:
        ValueError: if they are of another shape, kind or range.
    """
    if isinstance(y, Proxy):
        return y
    taken = y if isinstance(y, Tensor) else _tensor("y", y, f"{_LABELS[weights]} are")
    if taken.ndim == 0:
        taken = taken.expand(rows.shape[0])
    if runs_eagerly(taken):
        taken = _checked(taken, len(rows), num_classes, weights=weights)
    return taken if taken.device == rows.device else taken.to(rows.device)


def _checked(y: Tensor, count: int, num_classes: int, *, weights: bool) -> Tensor:
    is_weights = y.is_floating_point()
    if y.dtype == torch.bool or y.is_complex() or (is_weights and not weights):
        raise ValueError(f"y of {y.dtype}: {_LABELS[weights]} are allowed")
    shape = (count, num_classes) if is_weights else (count,)
    if y.shape != shape:
        raise ValueError(f"y of shape {tuple(y.shape)} and {y.dtype}: {shape} is allowed")
    if is_weights:
        return y
    y = y.long()
    # Nor is a value read where a dispatch mode looks on, as in the recording of a graph, which forbids it.
    if y.is_cpu and count and not torch._C._len_torch_dispatch_stack():
        low, high = torch.aminmax(y)
        for bound in (int(low), int(high)):
            if not 0 <= bound < num_classes:
                raise ValueError(f"y holds {bound}: labels from 0 to {num_classes - 1} are allowed")
    return y


def _chooses_types(device: str) -> bool:
    """Return whether autocast is on, which takes inputs of any type."""
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def _rows_of(shape: tuple[int, ...]) -> str:
    return f"(N, {', '.join(map(str, shape))})"


def _tensor(name: str, value: object, allowed: str) -> Tensor:
    try:
        return torch.from_numpy(np.array(value))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name}={short_repr(value)}: {allowed} allowed") from error
