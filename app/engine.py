"""Requests of several visitors share the device: their rows travel in common batches, in turn."""

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


WAIT_S = 0.1  # between two looks at whether a waiting visitor has cancelled


@dataclass(eq=False)
class _Job:
    G: Generator
    z: Tensor
    y: Tensor | None
    taken: int = 0
    error: Exception | None = None
    pictures: deque[Tensor] = field(default_factory=deque)

    @property
    def kind(self) -> tuple[int, torch.dtype | None]:
        """What has to agree for rows to share a batch."""
        return id(self.G), None if self.y is None else self.y.dtype

    def rows(self, count: int) -> slice:
        return slice(self.taken, min(self.taken + count, len(self.z)))


class Engine:
    """Runs generators for many threads at once.

    A waiting thread that gets the turn runs the next batch, with rows of every job that fits into it, the longest
    waiting job first; so one picture is not stuck behind sixty, and an error reaches those whose rows met it.
    The computation itself stays on one thread: each further one would bring its own pool of OpenMP threads.

    Args:
        device: where the generators live, which says how many rows go into a batch.
    """

    def __init__(self, device: torch.device) -> None:
        self.batches = 0
        self._rows_at_once = rows_at_once(device)
        self._run, on_own_thread = runner()
        self._thread = ThreadPoolExecutor(1, "engine") if on_own_thread else None
        self._jobs: deque[_Job] = deque()
        self._guard = threading.Lock()  # of the deque
        self._turn = threading.Lock()  # of the device

    def run(self, G: Generator, z: Tensor, y: Tensor | None, cancelled: threading.Event) -> Iterator[Tensor]:
        """Generate pictures, as soon as each batch is done.

        Args:
            G: generator.
            z: (N, latent_dim) latents.
            y: (N,) labels, (N, K) class weights or None.
            cancelled: set it to stop.
        Yields:
            (n, 3, R, R) uint8, N rows in all and in order.
        Raises:
            CancelledError: if the event is set before all pictures are made.
        """
        job = _Job(G, z, y)
        with self._guard:
            self._jobs.append(job)
        given = 0
        try:
            while given < len(z):
                if cancelled.is_set():
                    raise CancelledError
                if self._turn.acquire(timeout=WAIT_S):
                    try:
                        if not job.pictures:
                            self._step()
                    finally:
                        self._turn.release()
                if job.error is not None:
                    raise job.error
                while job.pictures:
                    given += len(job.pictures[0])
                    yield job.pictures.popleft()
        finally:
            with self._guard:
                self._jobs.remove(job)

    def _step(self) -> None:
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
        first = chosen[0][0]
        z = torch.cat([job.z[rows] for job, rows in chosen])
        y = None if first.y is None else torch.cat([job.y[rows] for job, rows in chosen if job.y is not None])
        if self._thread is None:
            pictures = self._run(first.G, z, y)
        else:
            pictures = self._thread.submit(self._run, first.G, z, y).result()
        self.batches += 1
        sizes = [rows.stop - rows.start for _, rows in chosen]
        for (job, rows), part in zip(chosen, pictures.split(sizes), strict=True):
            job.taken = rows.stop
            job.pictures.append(part)

    def _choose(self) -> list[tuple[_Job, slice]]:
        """Pick jobs of one kind and a fair share of rows of each, the first job's first."""
        waiting = [job for job in self._jobs if job.taken < len(job.z) and job.error is None]
        alike = [job for job in waiting if job.kind == waiting[0].kind][: self._rows_at_once]
        room = self._rows_at_once
        chosen = []
        for i, job in enumerate(alike):
            rows = job.rows(max(1, room // (len(alike) - i)))
            room -= rows.stop - rows.start
            chosen.append((job, rows))
        return chosen
