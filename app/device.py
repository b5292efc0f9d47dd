"""Where generators run: a CPU, a GPU of this machine, or a GPU that a Space borrows for the length of a call."""

import importlib.util
import os
from collections.abc import Callable

import torch
from torch import Tensor

from sngan_cond import Generator
from sngan_cond.sampling import generate

Run = Callable[[Generator, Tensor, Tensor | None], Tensor]


def on_zero_gpu() -> bool:
    """Whether this is a Space that lends a GPU call by call."""
    return bool(os.environ.get("SPACES_ZERO_GPU")) and importlib.util.find_spec("spaces") is not None


def choose_device(name: str) -> torch.device:
    """Turn "auto" or a device's name into a device that works here.

    Args:
        name: "auto", "cpu", "cuda" or "cuda:N".
    Raises:
        ValueError: if there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() and not on_zero_gpu() else "cpu")
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdecimal()) or (kind == "cpu" and index):
        raise ValueError(f"device={name!r}: auto, cpu, cuda or cuda:N is allowed")
    count = torch.cuda.device_count()
    if kind == "cuda" and int(index or 0) >= count:
        raise ValueError(f"device={name!r}: this machine has {count} CUDA devices that work")
    return torch.device(name)


def rows_at_once(device: torch.device) -> int:
    """Return how many pictures go through a generator between two looks at who else waits."""
    return 4 if device.type == "cpu" and not on_zero_gpu() else 64


def run_rows(G: Generator, z: Tensor, y: Tensor | None) -> Tensor:
    """Run the generator where it is.

    Args:
        G: generator.
        z: (N, latent_dim) latents.
        y: (N,) labels, (N, K) class weights or None.
    Returns:
        (N, 3, R, R) uint8 on the CPU.
    """
    return torch.cat(list(generate(G, z, y)))


def _run_on_borrowed_gpu(G: Generator, z: Tensor, y: Tensor | None) -> Tensor:
    return run_rows(G.to("cuda"), z, y)  # in the borrowed process, on a copy: nothing to move back


def runner() -> tuple[Run, bool]:
    """Return what runs a generator, and whether it may run on a thread of its own.

    A borrowed GPU is paid for by the visitor, whom `spaces` finds by the thread of the request.
    """
    if not on_zero_gpu():
        return run_rows, True
    import spaces  # exists on Spaces only

    return spaces.GPU(duration=60)(_run_on_borrowed_gpu), False
