"""Copies between a GPU and the host that wait for nothing but themselves."""

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device; the copy is queued behind what was launched before, and not waited for."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()  # from pageable memory it would be waited for, and all work before it
    return tensor.to(device, non_blocking=True)


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
