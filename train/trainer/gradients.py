"""A network's gradients as one flat buffer: zeroed, exchanged between processes and checked in one piece."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

_ALIGNMENT = 16  # numbers: 64 bytes in float32; a GPU's widest loads ask for 16 of them, a processor's for 64


class Gradients:
    """What an update's backward passes sum up: a network's gradients, and its loss, in one flat buffer.

    Every parameter's `.grad` is a view of the buffer in the parameter's own strides, channels-last ones too: autograd
    adds to it whatever layout a gradient comes in, and a fused optimiser reads it as it lies. The buffer never moves,
    so CUDA graphs may remember where it is. A parameter that no gradient reaches has one of zeros.

    Args:
        network: on its device and in its layout already, with all parameters of one type.
        processes: that share an update; each calls `all_reduce`.
        statistics: names of scalars that are averaged over micro-batches and processes along with them.
    """

    def __init__(self, network: nn.Module, *, processes: int = 1, statistics: Sequence[str] = ()) -> None:
        self.processes = processes
        self._parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        starts, end = [], 0
        for parameter in self._parameters:
            starts.append(end)
            end += -(-parameter.numel() // _ALIGNMENT) * _ALIGNMENT
        self.flat = self._parameters[0].new_zeros(end + 1 + len(statistics)).detach()
        self._views = [
            self.flat.as_strided(parameter.shape, parameter.stride(), start)
            for parameter, start in zip(self._parameters, starts, strict=True)
        ]
        self._gradient, self._means, self._loss = self.flat[:end], self.flat[end:], self.flat[end]
        self.statistics = dict(zip(statistics, self.flat[end + 1 :].unbind(), strict=True))
        self.zero_()

    def zero_(self) -> None:
        """Start an update."""
        self.flat.zero_()
        for parameter, view in zip(self._parameters, self._views, strict=True):
            if parameter.grad is not view:  # an optimiser's `zero_grad` takes gradients away
                parameter.grad = view

    def share(self, total: Tensor, micro_batches: int, parts: Mapping[str, Tensor]) -> Tensor:
        """Return a micro-batch's part of the loss that all processes' passes sum up; note its value and the statistics.

        Args:
            total: scalar with a graph; the mean over micro-batches and processes is what an update descends.
            parts: detached scalars, the statistics among them.
        """
        count = micro_batches * self.processes
        part = total / count
        self._loss += part.detach()
        for name, mean in self.statistics.items():
            mean += parts[name] / count
        return part

    def all_reduce(self) -> None:
        """Sum over all processes: one call for the whole network, and none where there is one process."""
        if self.processes > 1:
            torch.distributed.all_reduce(self.flat)

    def norm(self) -> Tensor:
        """Return the Euclidean norm of the gradient, a scalar on the device, in one pass."""
        return torch.linalg.vector_norm(self._gradient)

    def finite(self, norm: Tensor) -> Tensor:
        """Return whether the loss, the statistics and every gradient are finite, a bool scalar on the device.

        The squares tell: a gradient whose square overflows would make Adam's second moment infinite and so end
        all movement.

        Args:
            norm: of these gradients.
        """
        return torch.isfinite(norm.square() + torch.linalg.vector_norm(self._means).square())
