"""Where generators run, and how the requests of several visitors share that device.

A device is chosen once, at the start: the CPU, a GPU, or a GPU that a Space lends call by call (ZeroGPU). Requests that
arrive together are merged into common batches; `Engine` decides whose images the next batch holds.
"""

import contextlib
import importlib.util
import math
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from app.turns import Visitor
from sngan_cond import Generator
from sngan_cond.sampling import default_batch_size, generate

RunBatch = Callable[[Generator, Tensor, Tensor | None], Tensor]


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
    """Return what runs a batch, on a borrowed GPU where there is one."""
    if on_zero_gpu():
        import spaces  # exists on Spaces only

        return spaces.GPU(duration=60)(_run_batch_on_borrowed_gpu)
    return run_batch


@dataclass(eq=False)
class Job:
    """One request's inputs and how far they have got; `Engine.start` makes it."""

    G: Generator
    z: Tensor
    y: Tensor | None
    visitor: Visitor
    notify: Callable[[], None]  # called from the engine's thread when there is something to take
    taken: int = 0  # inputs that have been through the generator, from the first
    error: Exception | None = None
    images: deque[Tensor] = field(default_factory=deque)  # made, but not yet handed out
    context: Context = field(default_factory=copy_context)  # of the request, in which `spaces` finds the visitor

    def take(self) -> Tensor | None:
        """Return the next images, (n, 3, R, R) uint8, in order; None if there are none yet.

        Raises:
            Exception: what the batch with these inputs ended with.
        """
        if self.error is not None:
            raise self.error
        return self.images.popleft() if self.images else None

    @property
    def batch_key(self) -> tuple[Hashable, ...]:
        """What has to agree for inputs to share a batch: the generator, and labels (int64) or weights (float32).

        A borrowed GPU counts against the quota of one visitor, who cannot be made to pay for others.
        """
        kind = None if self.y is None else self.y.dtype
        return (self.G, kind, self.visitor) if on_zero_gpu() else (self.G, kind)

    @property
    def owners(self) -> tuple[Hashable, ...]:
        """Between whom batches are shared equally: addresses first, then the sessions of each, then their jobs."""
        return self.visitor.address, self.visitor, self


class Engine:
    """Runs generators for many requests at once, on one thread: OpenMP keeps a pool of workers for each that computes.

    A batch holds equally many inputs of every visitor who has some left, and whoever was served longest ago comes
    first. So one image is not stuck behind sixty, nor one visitor behind another's twelve requests, and an error
    reaches exactly the requests whose inputs were in the failing batch.
    """

    def __init__(self) -> None:
        self.batches = 0
        self._run_batch = batch_runner()
        self._thread = ThreadPoolExecutor(1, "engine")
        self._guard = threading.Lock()  # of the three below
        self._jobs: list[Job] = []  # first come first
        self._served: dict[Hashable, int] = {}  # the last batch in which each owner had a share
        self._busy = False
        self._seconds: WeakKeyDictionary[Generator, float] = WeakKeyDictionary()

    def start(self, G: Generator, z: Tensor, y: Tensor | None, visitor: Visitor, notify: Callable[[], None]) -> Job:
        """Generate images; call `end` with the job whatever happens.

        Args:
            z, y: as for `generate`.
            notify: called from another thread whenever `Job.take` has images or an error.
        """
        job = Job(G, z, y, visitor, notify)
        with self._guard:
            self._jobs.append(job)
            if not self._busy:
                self._busy = True
                self._thread.submit(self._run_next_batch)
        return job

    def end(self, job: Job) -> None:
        """Forget a job: no batch may hold inputs whose images nobody wants."""
        with self._guard:
            self._jobs.remove(job)
            owners = {owner for job in self._jobs for owner in job.owners}
            self._served = {owner: batch for owner, batch in self._served.items() if owner in owners}

    def seconds(self, G: Generator, images: int) -> float | None:
        """Return how long so many images of one request take alone; None before a second batch was measured.

        It is an average in which a batch weighs more the later it was; waiting for others' batches is no part of it.
        """
        of_one = self._seconds.get(G, math.inf)
        return None if of_one == math.inf else of_one * _chunks(G, images)

    def _run_next_batch(self) -> None:
        with self._guard:
            chosen = self._choose()
            if not chosen:
                self._busy = False
                return
        try:
            chosen[0][0].context.run(self._run_together, chosen)
        except Exception as error:
            for job, _ in chosen:
                job.error = error
        for job, _ in chosen:
            job.notify()
        with contextlib.suppress(RuntimeError):  # the interpreter is shutting down
            self._thread.submit(self._run_next_batch)

    def _run_together(self, chosen: list[tuple[Job, slice]]) -> None:
        G = chosen[0][0].G
        z = torch.cat([job.z[part] for job, part in chosen])
        labels = [job.y[part] for job, part in chosen if job.y is not None]
        y = torch.cat(labels) if labels else None  # batch_key: all jobs have labels or none has
        started = time.perf_counter()
        images = self._run_batch(G, z, y)
        self._measured(G, (time.perf_counter() - started) / _chunks(G, len(z)))
        self.batches += 1
        sizes = [part.stop - part.start for _, part in chosen]
        for (job, part), made in zip(chosen, images.split(sizes), strict=True):
            job.taken = part.stop
            job.images.append(made)

    def _measured(self, G: Generator, seconds: float) -> None:
        before = self._seconds.get(G)
        if before is None:
            self._seconds[G] = math.inf  # the first batch also does what is done only once
        else:
            self._seconds[G] = seconds if before == math.inf else 0.8 * before + 0.2 * seconds

    def _choose(self) -> list[tuple[Job, slice]]:
        """Pick inputs for the next batch, in equal shares of those who can share it with the first in turn."""
        left = [job for job in self._jobs if job.taken < len(job.z) and job.error is None]
        left.sort(key=lambda job: [self._served.get(owner, 0) for owner in job.owners])
        alike = [job for job in left if job.batch_key == left[0].batch_key]
        shares: Counter[Hashable] = Counter()
        for _ in range(max_batch_size(left[0].G) if left else 0):
            wanting = [job for job in alike if job.taken + shares[job] < len(job.z)]
            if not wanting:
                break
            shares.update(min(wanting, key=lambda job: [shares[owner] for owner in job.owners]).owners)
        self._served.update(dict.fromkeys(shares, self.batches + 1))
        return [(job, slice(job.taken, job.taken + shares[job])) for job in alike if shares[job]]


def _chunks(G: Generator, images: int) -> int:
    """Return how many batches `generate` makes of so many images; it computes all of them in full."""
    return -(-images // default_batch_size(G))
