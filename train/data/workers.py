"""Turning items into rows of the image file, in this process or in several, always in the same order of results.

A row's place depends on its index alone, and every chunk is a stretch of rows that nobody else writes. So workers need
no locks, a chunk may be made twice, and the bytes do not depend on how many workers there are. Workers sync their rows
before they report; the parent alone writes the line that says so (`Partial.mark_done`), in the order of the chunks.
"""

import collections
import contextlib
import dataclasses
import multiprocessing
import signal
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np

from train.data.image import BadImageError, Fitting
from train.data.sources.base import Item
from train.errors import DataError
from train.files import sync
from train.processes import end_with_parent

QUEUED_PER_WORKER = 2  # enough that no worker waits, few enough that memory holds the images on their way


@dataclasses.dataclass(frozen=True)
class Chunk:
    """A stretch of rows to be made.

    Args:
        number: from 0, in the order of the rows.
        first_row: where it starts in the image file.
        items: an image for each of its rows.
    """

    number: int
    first_row: int
    items: Sequence[Item]


@dataclasses.dataclass(frozen=True)
class BadImage:
    """An image that could not be used.

    Args:
        row: its row in the image file, which is black until `finish` drops it.
        name: as its source calls it.
        reason: one of train.data.image.REASONS.
        detail: what exactly, on one line.
    """

    row: int
    name: str
    reason: str
    detail: str


def make_chunk(path: Path, header_bytes: int, chunk: Chunk, fitting: Fitting) -> list[BadImage]:
    """Decode, fit and write the rows of a chunk, and wait until they are on disk.

    Args:
        path: the image file, allocated in full.
        header_bytes: where row 0 starts.
    Returns:
        The images that could not be used.
    """
    side = fitting.resolution
    block = np.zeros((len(chunk.items), side, side, 3), np.uint8)
    bad = []
    for offset, item in enumerate(chunk.items):
        try:
            block[offset] = fitting.apply(item.read())
        except BadImageError as error:
            bad.append(BadImage(chunk.first_row + offset, item.name, error.reason, error.detail))
    with path.open("r+b") as file:
        file.seek(header_bytes + chunk.first_row * block[0].nbytes)
        file.write(block.data)
    sync(path)
    return bad


def make_chunks(
    path: Path, header_bytes: int, chunks: Iterable[Chunk], fitting: Fitting, workers: int
) -> Iterator[tuple[Chunk, list[BadImage]]]:
    """Make chunks, several at a time, and hand their results back in order.

    Args:
        path: the image file.
        header_bytes: where row 0 starts.
        chunks: an iterator is advanced only as fast as chunks are made.
        workers: number of processes; 1 works in this one.
    Yields:
        Each chunk with the images of it that could not be used.
    Raises:
        DataError: if a worker process was ended from outside.
    """
    if workers == 1:
        for chunk in chunks:
            yield chunk, make_chunk(path, header_bytes, chunk, fitting)
        return
    # spawn, not fork: a fork copies locks that other threads (BLAS, tqdm's monitor) hold, and nobody ever frees them.
    context = multiprocessing.get_context("spawn")
    queue: collections.deque[tuple[Chunk, Future[list[BadImage]]]] = collections.deque()
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    try:
        for chunk in chunks:
            with _ctrl_c_deferred():  # submit starts a worker as long as there are fewer than asked for
                queue.append((chunk, pool.submit(make_chunk, path, header_bytes, chunk, fitting)))
            # Always the oldest, though another may be ready: done.jsonl counts chunks from the start and has no gaps.
            if len(queue) >= QUEUED_PER_WORKER * workers:
                oldest, future = queue.popleft()
                yield oldest, future.result()
        while queue:
            oldest, future = queue.popleft()
            yield oldest, future.result()
    except BrokenProcessPool as error:
        raise DataError(f"--workers {workers}: a worker process was ended from outside (out of memory?)") from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _ctrl_c_deferred() -> Iterator[None]:
    """Hold Ctrl-C back while a worker may be started: it inherits the block, and so leaves Ctrl-C to the parent.

    A terminal sends Ctrl-C to the parent and to every worker. A worker that it reached while it still imports would
    print a traceback and break the pool. Windows has no such mask, so there `_start_worker` comes a moment late.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and end with it: whoever goes on writes the same bytes once more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
