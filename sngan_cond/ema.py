"""Exponential moving average of the generator."""

import copy

import torch
from torch import Tensor, nn


class Ema:
    """A copy of a network whose parameters follow a moving average; buffers are copied as they are.

    Args:
        network: copied, in eval mode and without gradients.
        decay: weight of the old average at each update, in [0, 1); 0 copies.
        start: number of updates during which the average copies, so that it forgets the initial weights.
    Raises:
        ValueError: if `decay` or `start` is out of range.
    """

    def __init__(self, network: nn.Module, *, decay: float, start: int = 0) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay={decay}: a number from 0 to below 1 is allowed")
        if start < 0:
            raise ValueError(f"start={start}: an integer from 0 is allowed")
        self.decay = decay
        self.start = start
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move the average towards the network after an update, its number `step` counted from 0."""
        averages: list[Tensor] = list(self.network.parameters())
        values: list[Tensor] = list(network.parameters())
        if step < self.start or self.decay == 0:
            torch._foreach_copy_(averages, values)
        else:
            torch._foreach_lerp_(averages, values, 1 - self.decay)
        # One launch for the statistics and one for the counts: tensors of one type are copied together.
        by_type: dict[torch.dtype, list[tuple[Tensor, Tensor]]] = {}
        for copied, buffer in zip(self.network.buffers(), network.buffers(), strict=True):
            by_type.setdefault(buffer.dtype, []).append((copied, buffer))
        for pairs in by_type.values():
            torch._foreach_copy_([copied for copied, _ in pairs], [buffer for _, buffer in pairs])
