"""Turning items into pixels, in this process or in several, with the results always in the order of the items.

Workers write to no file: the parent alone appends what they made (`Partial.append`). So the bytes do not depend on how
many workers there are.
"""

import collections
import contextlib
import dataclasses
import itertools
import math
import multiprocessing
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from ctypes import Array
from typing import Any

import numpy as np

from train.data.image import BadImageError, Fitting
from train.data.sources.base import Item, Source
from train.errors import DataError
from train.processes import end_with_parent

CHUNK_IMAGES = 128
CHUNK_BYTES = 1 << 21  # of larger images fewer, so that 16 workers' chunks fit the 64 MiB of /dev/shm in a container
QUEUED_PER_WORKER = 2  # enough that no worker waits, few enough that memory holds the images on their way
SPARED_BYTES = 1 << 20  # of the room for shared memory: semaphores take some of it as well

# In a worker: memory that it shares with the parent. Of each block the place of the image that is being made for it,
# from 1, and 0 for none, so that the parent can say which image a process died of.
_blocks: list[np.ndarray] = []
_places: list["Array[int]"] = []


@dataclasses.dataclass(frozen=True)
class BadImage:
    """An image that could not be used.

    Args:
        index: its place among the images chosen.
        name: as its source calls it.
        reason: one of train.data.image.REASONS.
        detail: what exactly, on one line.
    """

    index: int
    name: str
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason} ({self.detail})"


Chunk = tuple[np.ndarray, list[BadImage]]


def make_chunks(source: Source, chosen: np.ndarray, first: int, fitting: Fitting, workers: int) -> Iterator[Chunk]:
    """Decode and fit images chunk by chunk, several chunks at a time, and hand them out in order.

    Args:
        chosen: (M,) indices into the source.
        first: where among them to begin.
        workers: number of processes; 1 works in this one.
    Yields:
        Of each chunk the images that can be used, (n, R, R, 3) uint8 in order, and the others. The array is
        overwritten once the next chunk is asked for.
    Raises:
        DataError: if a worker process was ended from outside, or there is no room for the memory that workers share.
    """
    row = (fitting.resolution, fitting.resolution, 3)
    size = max(1, min(CHUNK_IMAGES, CHUNK_BYTES // math.prod(row)))
    blocks = min(QUEUED_PER_WORKER * workers, math.ceil((len(chosen) - first) / size))
    in_pool = workers > 1 and blocks > 1
    if in_pool:
        room = _images_with_room(blocks * size, math.prod(row), workers)
        size = max(1, min(size, room // blocks))
        blocks = min(blocks, room // size)
    starts = range(first, len(chosen), size)
    stretches = ((start, source.items(chosen[start : start + size])) for start in starts)
    if in_pool:
        yield from _make_in_pool(stretches, (blocks, size, *row), fitting, workers)
        return
    block = np.empty((size, *row), np.uint8)
    for start, items in stretches:
        bad = _fill(block, start, items, fitting)
        yield block[: len(items) - len(bad)], bad


def _images_with_room(wanted: int, image_bytes: int, workers: int) -> int:
    """Return for how many images there is room where memory is shared: those wanted, or at least one a worker.

    It is a file of `multiprocessing.heap.Arena`: in /dev/shm if the system has it and all of it fits, else in TMPDIR.
    Creating it reserves nothing, and to touch a page for which there is no room ends the process without a message.

    Raises:
        DataError: if there is less room.
    """
    if sys.platform == "win32":  # there it is no file
        return wanted
    least = min(workers, wanted)
    found = []
    try:
        for place in _places_of_shared_memory():
            free = shutil.disk_usage(place).free
            images = (free - SPARED_BYTES) // image_bytes
            if images >= least:
                return min(wanted, images)
            found.append(f"{place} has {free:,}")
    except OSError as error:
        raise _cannot_share(workers, error) from error
    needed = least * image_bytes + SPARED_BYTES
    raise DataError(
        f"--workers {workers}: at least {needed:,} bytes of memory are shared, but {' and '.join(found)} bytes free; "
        "ask for fewer workers, or set TMPDIR to a folder with more room"
    )


def _places_of_shared_memory() -> Iterator[str]:
    if sys.platform == "linux":
        yield "/dev/shm"
    yield tempfile.gettempdir()  # asked for only now: it fails where no folder is writable


def _cannot_share(workers: int, error: OSError) -> DataError:
    where = f"{error.filename}: " if error.filename else ""
    advice = "ask for --workers 1, or check /dev/shm and TMPDIR"
    return DataError(f"--workers {workers}: no memory can be shared ({where}{error.strerror}); {advice}")


def _make_in_pool(
    stretches: Iterable[tuple[int, Sequence[Item]]], shape: tuple[int, ...], fitting: Fitting, workers: int
) -> Iterator[Chunk]:
    """Make chunks in processes, which write into memory that they share with this one.

    Args:
        stretches: first place and items of each; advanced only as fast as chunks are made.
        shape: (B, size, R, R, 3) for B chunks at a time.
    """
    # spawn, not fork: a fork copies locks that other threads (BLAS, tqdm's monitor) hold, and nobody ever frees them.
    context = multiprocessing.get_context("spawn")
    try:
        # Through the pool's pipe, pixels would cost 30 % more processor time. The file behind the memory has lost its
        # name before it has a size, so a kill leaves no pixels behind, at most an empty folder pymp-* in TMPDIR.
        memory, places = context.RawArray("B", math.prod(shape)), context.RawArray("q", shape[0])
        shared = (memory, shape, places)
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=shared)
    except OSError as error:
        raise _cannot_share(workers, error) from error
    blocks, numbers = np.frombuffer(memory, np.uint8).reshape(shape), itertools.cycle(range(shape[0]))
    queue: collections.deque[tuple[int, Sequence[Item], Future[list[BadImage]]]] = collections.deque()

    def oldest() -> Chunk:  # though another may be ready: images are appended in order
        number, items, future = queue[0]
        bad = future.result()
        queue.popleft()
        return blocks[number][: len(items) - len(bad)], bad

    try:
        for start, items in stretches:
            number = next(numbers)
            with _ctrl_c_deferred():  # submit starts a worker as long as there are fewer than asked for
                queue.append((number, items, pool.submit(_fill_shared, number, start, items, fitting)))
            if len(queue) == shape[0]:
                yield oldest()
        while queue:
            yield oldest()
    except BrokenProcessPool as error:
        at_work = " or ".join(items[places[number] - 1].name for number, items, _ in queue if places[number])
        raise DataError(
            f"--workers {workers}: a worker process died while it read {at_work or 'no image'} (out of memory, or a "
            "decoder crashed: leave the file out); what is done is kept"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _fill(block: np.ndarray, start: int, items: Iterable[Item], fitting: Fitting) -> list[BadImage]:
    """Put those images of a stretch that can be used at the beginning of the block, in order, and return the others."""
    bad: list[BadImage] = []
    for offset, item in enumerate(items):
        try:
            block[offset - len(bad)] = fitting.apply(item.load())
        except BadImageError as error:
            bad.append(BadImage(start + offset, item.name, error.reason, error.detail))
        except MemoryError:
            bad.append(BadImage(start + offset, item.name, "unreadable", "there is no memory for it"))
    return bad


def _fill_shared(number: int, start: int, items: Sequence[Item], fitting: Fitting) -> list[BadImage]:
    def noted() -> Iterator[Item]:
        for place, item in enumerate(items, 1):
            _places[0][number] = place
            yield item
        _places[0][number] = 0

    return _fill(_blocks[number], start, noted(), fitting)


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


def _start_worker(memory: "Array[Any]", shape: tuple[int, ...], places: "Array[int]") -> None:
    """Leave Ctrl-C to the parent, end with it, and take the memory that it shares."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    _blocks.extend(np.frombuffer(memory, np.uint8).reshape(shape))
    _places.append(places)
