"""The loop of an evaluation: images pass batch by batch through what reads them, on one process or several."""

import sys
from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from train.evaluation.distributed import Processes
from train.evaluation.finite import FiniteWatch
from train.evaluation.streams import Stream

LOG_SECONDS = 60.0  # between two lines of a progress bar that goes to a log
CHECKED_BATCHES = 64  # between two looks at whether all numbers are finite, each of which waits for the device


class Source(Protocol):
    """Something that a score is computed through, and that scores are named after."""

    name: str

    def read(self, images: Tensor) -> dict[str, Tensor]:
        """Return rows (n, ...) by what they are, of images (n, 3, R, R) uint8."""
        ...


def progress_bar(what: str, count: int, *, shown: bool, unit: str = "images") -> "tqdm[None]":
    """Return a progress bar with rate and time left; in a log, not on a terminal, it prints a line a minute."""
    seconds = 0.1 if sys.stderr.isatty() else LOG_SECONDS
    return tqdm(
        total=count,
        desc=what,
        unit=f" {unit}",
        disable=not shown,
        mininterval=seconds,
        maxinterval=max(seconds, 10.0),  # tqdm's monitor thread redraws after so long, whatever mininterval says
        dynamic_ncols=True,
        leave=False,
    )


def extract(
    stream: Stream,
    sources: Sequence[tuple[Source, int]],
    *,
    batch_size: int,
    processes: Processes,
    what: str = "images",
    progress: bool = False,
) -> dict[str, Tensor]:
    """Read a stream; every process reads its shard, and all return the rows of the whole.

    Rows stay where the sources make them, and a batch is launched without waiting for the one before.

    Args:
        sources: each with the number of images, from the first, that it reads.
        batch_size: images at once on each process; changes speed and memory, not results beyond rounding.
        what: name of the images, for the progress bar and for errors.
        progress: show a bar on the main process.
    Returns:
        Rows on the sources' device in the order of the stream, by the names that the sources give them. Those behind a
        source's number of images mean nothing.
    Raises:
        EvaluationError: if an image or a row is not finite, on any process.
    """
    start, stop = processes.shard(stream.count)
    rows: dict[str, list[Tensor]] = defaultdict(list)
    watch = FiniteWatch()

    def read(source: Source, images: Tensor, keep: int) -> None:
        for name, found in source.read(images).items():
            rows[name].append(found[:keep])
            watch.note(found[:keep], f"extractor {source.name}: its features of the {what} are not finite")

    def check_finite() -> None:
        stream.check()
        watch.check()

    shown = progress and processes.is_main
    with processes.fail_together(), progress_bar(what, stop - start, shown=shown) as bar, torch.no_grad():
        for number, first in enumerate(range(start, stop, batch_size), start=1):
            images = stream.images(first, min(first + batch_size, stop))
            for source, count in sources:
                if first < count:
                    read(source, images[: count - first], len(images))
            if number % CHECKED_BATCHES == 0:
                check_finite()
            bar.update(len(images))
        check_finite()
        for source, count in sources:
            if start >= min(stop, count):  # nothing for this process: one image tells width and dtype of its no rows
                read(source, stream.images(0, 1), 0)
    # Sorted, for a process whose images one source does not reach meets the names in another order.
    return {name: processes.gather_rows(torch.cat(rows.pop(name)), stream.count) for name in sorted(rows)}
