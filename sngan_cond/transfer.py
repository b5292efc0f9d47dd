"""Copies from a GPU that the host waits for when it needs them, and not before."""

import torch
from torch import Tensor


class HostCopy:
    """A copy of a tensor to the CPU that is under way; what the device is given afterwards need not be waited for.

    Args:
        tensor: on any device; stays as it is.
    """

    def __init__(self, tensor: Tensor) -> None:
        self._copied: torch.cuda.Event | None = None
        if tensor.device.type != "cuda":
            self._copy = tensor.cpu()
            return
        # From or to pageable memory a copy would wait for everything that was launched before it.
        self._copy = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)
        self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]  # PyTorch annotates none
        self._copied.record()

    def get(self) -> Tensor:
        """Wait for the copy, on any thread."""
        if self._copied is None:
            return self._copy
        self._copied.synchronize()
        return self._copy.clone()  # page-locked memory is scarce, and whoever asks may keep many of these
