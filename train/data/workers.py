"""Turning items into rows of the image file, in this process or in several, always in the same order of results."""

import collections
import contextlib
import dataclasses
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

from train.data.picture import BadImageError, Fitting
from train.data.sources.base import Item
from train.errors import DataError

QUEUED_PER_WORKER = 2  # enough that no worker waits, few enough that memory holds the pictures on their way


@dataclasses.dataclass(frozen=True)
class Chunk:
    """A stretch of rows to be made.

    Args:
        number: of the chunk, from 0.
        first_row: where it starts in the image file.
        items: its pictures.
    """

    number: int
    first_row: int
    items: Sequence[Item]


@dataclasses.dataclass(frozen=True)
class BadImage:
    """A picture that could not be used.

    Args:
        row: its row in the image file, which is left black.
        name: as its source calls it.
        reason: one of train.data.picture.REASONS.
        detail: on one line.
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
        chunk: what to make.
        fitting: how.
    Returns:
        The pictures that could not be used.
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
        file.flush()
        os.fsync(file.fileno())
    return bad


def make_chunks(
    path: Path, header_bytes: int, chunks: Iterable[Chunk], fitting: Fitting, workers: int
) -> Iterator[tuple[Chunk, list[BadImage]]]:
    """Make chunks, several at a time, and hand their results back in order.

    Args:
        path: the image file.
        header_bytes: where row 0 starts.
        chunks: drawn from only as fast as they are made.
        fitting: how pictures become squares.
        workers: processes; 1 works in this one.
    Yields:
        Each chunk with the pictures of it that could not be used.
    Raises:
        DataError: if a worker process was ended from outside.
    """
    if workers == 1:
        for chunk in chunks:
            yield chunk, make_chunk(path, header_bytes, chunk, fitting)
        return
    # spawn: a forked copy of a process with threads (torch, BLAS) may hang.
    context = multiprocessing.get_context("spawn")
    queue: collections.deque[tuple[Chunk, Future[list[BadImage]]]] = collections.deque()
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_follow_parent)
    try:
        for chunk in chunks:
            with _ctrl_c_deferred():
                queue.append((chunk, pool.submit(make_chunk, path, header_bytes, chunk, fitting)))
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
    """Hold Ctrl-C back while a worker may be started: it inherits the block, and so leaves Ctrl-C to the parent."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _follow_parent() -> None:
    """End with the parent even if it is killed: an idle worker would wait for ever."""
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
