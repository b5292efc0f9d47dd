"""Where generators run, and how the requests of several visitors share that device.

A device is chosen once, at the start: the CPU, a GPU, or a GPU that a Space lends call by call (ZeroGPU). Requests that
arrive together are merged into common batches; `Engine` decides whose images the next batch holds.
"""

import importlib.util
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import torch
from torch import Tensor

from app.limits import CancelledError
from sngan_cond import Generator
from sngan_cond.sampling import default_batch_size, generate

RunBatch = Callable[[Generator, Tensor, Tensor | None], Tensor]

POLL_S = 0.1  # between two looks at whether a waiting visitor has cancelled


def on_zero_gpu() -> bool:
    """Whether this is a Space that lends a GPU call by call."""
    return bool(os.environ.get("SPACES_ZERO_GPU")) and importlib.util.find_spec("spaces") is not None


def choose_device(name: str) -> torch.device:
    """Turn "auto", "cpu", "cuda", "cuda:N" or "mps" into a device that works here.

    Raises:
        ValueError: if there is no such device.
    """
    if name == "auto":
        # On ZeroGPU there seems to be a GPU, but only inside a borrowed call: models wait on the CPU.
        return torch.device("cuda" if torch.cuda.is_available() and not on_zero_gpu() else "cpu")
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and not index.isdecimal()) or (kind != "cuda" and index):
        raise ValueError(f"device={name!r}: auto, cpu, cuda, cuda:N or mps is allowed")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ValueError(f"device={name!r}: this machine has no Apple GPU that works")
    count = torch.cuda.device_count()
    if kind == "cuda" and int(index or 0) >= count:
        raise ValueError(f"device={name!r}: this machine has {count} CUDA devices that work")
    return torch.device(name)


def max_batch_size(G: Generator) -> int:
    """Return how many images a batch holds at most.

    A visitor who comes while a batch is being computed waits for its end: on a CPU a batch is what `generate` computes
    at once. On ZeroGPU, where models wait on the CPU but run on a borrowed GPU, batches are as large as on any GPU.
    """
    on_cpu = next(G.parameters()).device.type == "cpu" and not on_zero_gpu()
    return default_batch_size(G) if on_cpu else 64


def run_batch(G: Generator, z: Tensor, y: Tensor | None) -> Tensor:
    """Run the generator on the device where it is; takes what `generate` does, and returns all images at once."""
    return torch.cat(list(generate(G, z, y)))


def _run_batch_on_borrowed_gpu(G: Generator, z: Tensor, y: Tensor | None) -> Tensor:
    return run_batch(G.to("cuda"), z, y)  # in a process of its own, on a copy: nothing to move back


def batch_runner() -> RunBatch:
    """Return what runs a batch; on one thread of its own, unless the GPU is borrowed.

    A borrowed GPU counts against the visitor's quota, and `spaces` finds the visitor by the thread of the request.
    """
    if on_zero_gpu():
        import spaces  # exists on Spaces only

        return spaces.GPU(duration=60)(_run_batch_on_borrowed_gpu)
    # Always the same thread: OpenMP keeps a pool of workers for each thread that computes, and the request threads come
    # and go.
    thread = ThreadPoolExecutor(1, "engine")
    return lambda G, z, y: thread.submit(run_batch, G, z, y).result()


@dataclass(eq=False)
class _Job:
    """One request's inputs and how far they have got."""

    G: Generator
    z: Tensor
    y: Tensor | None
    taken: int = 0  # inputs that have been through the generator, from the first
    error: Exception | None = None
    images: deque[Tensor] = field(default_factory=deque)  # made, but not yet handed out

    @property
    def batch_key(self) -> tuple[int, torch.dtype | None]:
        """What has to agree for inputs to share a batch: the generator, and labels (int64) or weights (float32)."""
        return id(self.G), None if self.y is None else self.y.dtype


class Engine:
    """Runs generators for many threads at once, without a scheduler thread.

    Every waiting thread tries to get the turn; the one that does runs the next batch for everybody whose inputs fit
    into it, starting with the job at the head of the queue, which then goes to the back. So one image is not stuck
    behind sixty, and an error reaches exactly the requests whose inputs were in the failing batch.
    """

    def __init__(self) -> None:
        self.batches = 0
        self._run_batch = batch_runner()
        self._jobs: deque[_Job] = deque()
        self._guard = threading.Lock()  # of the deque
        self._turn = threading.Lock()  # of the device, and of what jobs have taken and made

    def run(self, G: Generator, z: Tensor, y: Tensor | None, cancelled: threading.Event) -> Iterator[Tensor]:
        """Generate images, and yield those of each batch as soon as it is done.

        Args:
            z, y: as for `generate`.
            cancelled: set it to stop after the batch that is being computed.
        Yields:
            (n, 3, R, R) uint8, N in all and in order.
        Raises:
            CancelledError: if the event is set before all images are made.
        """
        job = _Job(G, z, y)
        with self._guard:
            self._jobs.append(job)
        yielded = 0
        try:
            while yielded < len(z):
                if cancelled.is_set():
                    raise CancelledError
                if self._turn.acquire(timeout=POLL_S):
                    try:
                        if not job.images:  # another thread may have made some while this one waited
                            self._run_next_batch()
                    finally:
                        self._turn.release()
                if job.error is not None:
                    raise job.error
                while job.images:
                    yielded += len(job.images[0])
                    yield job.images.popleft()
        finally:  # also when the consumer stops iterating: no batch may hold inputs that nobody wants
            with self._guard:
                self._jobs.remove(job)

    def _run_next_batch(self) -> None:
        with self._guard:
            chosen = self._choose()
            self._jobs.rotate(-1)
        if not chosen:
            return
        try:
            self._run_together(chosen)
        except Exception as error:  # belongs to those in the batch, whoever had the turn
            for job, _ in chosen:
                job.error = error

    def _run_together(self, chosen: list[tuple[_Job, slice]]) -> None:
        G = chosen[0][0].G
        z = torch.cat([job.z[part] for job, part in chosen])
        labels = [job.y[part] for job, part in chosen if job.y is not None]
        y = torch.cat(labels) if labels else None  # batch_key: all jobs have labels or none has
        images = self._run_batch(G, z, y)
        self.batches += 1
        sizes = [part.stop - part.start for _, part in chosen]
        for (job, part), made in zip(chosen, images.split(sizes), strict=True):
            job.taken = part.stop
            job.images.append(made)

    def _choose(self) -> list[tuple[_Job, slice]]:
        """Pick the first waiting job and those that can share its batch, with about equally many inputs of each."""
        waiting = [job for job in self._jobs if job.taken < len(job.z) and job.error is None]
        if not waiting:
            return []
        room = max_batch_size(waiting[0].G)
        alike = [job for job in waiting if job.batch_key == waiting[0].batch_key][:room]
        chosen = []
        for i, job in enumerate(alike):
            share = max(1, room // (len(alike) - i))  # what short jobs leave goes to the later ones
            part = slice(job.taken, min(job.taken + share, len(job.z)))
            room -= part.stop - part.start
            chosen.append((job, part))
        return chosen
