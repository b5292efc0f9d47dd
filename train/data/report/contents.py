"""What a prepared data set holds: images a class, sizes of the originals, samples, and what was left out."""

import dataclasses
import re
from collections import Counter
from pathlib import Path

import numpy as np

from train.data.build import SKIPPED_NAME, select
from train.data.dataset import PreparedDataset
from train.data.image import BadImageError
from train.data.sources.base import Item, Source

SIZES_READ = 2_000
SIZE_EDGES_PX = (1, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192)
LISTED_AT_ONCE = 1_024


class Originals:
    """The images of the source that became those of the data set, row by row.

    Args:
        source: that the data set was made from.
        limit: as it was asked for.
    """

    def __init__(self, dataset: PreparedDataset, source: Source, limit: int | None) -> None:
        self._source = source
        self._used = _used(dataset, source, select(source.labels, limit))

    def items(self, rows: np.ndarray) -> list[Item]:
        """Return the originals of these rows; none where it is unknown which they are."""
        return [] if self._used is None else list(self._source.items(self._used[rows]))

    def names(self, rows: np.ndarray) -> list[str]:
        """Return what the source calls these rows, or else their places in the data set."""
        return [item.name for item in self.items(rows)] or [f"image {row}" for row in rows.tolist()]


def _used(dataset: PreparedDataset, source: Source, chosen: np.ndarray) -> np.ndarray | None:
    """Return indices into the source, (N,), or None if names alone do not tell the images left out from the others."""
    if left_out := {name for name, _, _ in skipped(dataset.folder)}:
        stretches = np.split(chosen, range(LISTED_AT_ONCE, len(chosen), LISTED_AT_ONCE))
        names = (item.name for stretch in stretches for item in source.items(stretch))
        chosen = chosen[[name not in left_out for name in names]]
    return chosen if np.array_equal(source.labels[chosen], dataset.labels) else None


def skipped(folder: Path) -> list[tuple[str, str, str]]:
    """Return file, reason and detail of every image that was left out of a data set.

    A name may hold tabs and line breaks, the two others hold none.
    """
    path = folder / SKIPPED_NAME
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").partition("\n")[2]
    found, start = [], 0
    for end in re.finditer(r"\t(\w+)\t([^\t\n]*)\n", lines):
        found.append((lines[start : end.start()], *end.groups()))
        start = end.end()
    return found


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of originals, as a viewer shows them.

    Args:
        width: (n,) in pixels.
        height: (n,) in pixels.
    """

    width: np.ndarray
    height: np.ndarray

    @property
    def shorter(self) -> np.ndarray:
        """The shorter side of each, (n,) in pixels."""
        return np.minimum(self.width, self.height)

    @property
    def median(self) -> int:
        """The shorter side that half of them reach, in pixels."""
        return int(np.median(self.shorter))

    def histogram(self) -> list[tuple[str, int]]:
        """Count the shorter sides in ranges of pixels, from the first range that has any to the last."""
        edges = np.array(SIZE_EDGES_PX)
        counts = np.bincount(np.searchsorted(edges, self.shorter, "right") - 1, minlength=len(edges))
        ends = [f" to {after - 1:,}" for after in SIZE_EDGES_PX[1:]] + [" and more"]
        rows = [(f"{edge:,}{end}", int(n)) for edge, end, n in zip(SIZE_EDGES_PX, ends, counts, strict=True)]
        found = np.flatnonzero(counts)
        return rows[found[0] : found[-1] + 1]

    def commonest(self, count: int) -> list[tuple[str, int]]:
        """Return the commonest sizes, and how many images have each."""
        pairs = Counter(zip(self.width.tolist(), self.height.tolist(), strict=True))
        return [(f"{width} x {height}", n) for (width, height), n in pairs.most_common(count)]


def read_sizes(originals: Originals, count: int) -> Sizes | None:
    """Read the sizes of up to `SIZES_READ` originals, evenly spread, from their headers where these tell.

    Args:
        count: number of images in the data set.
    Returns:
        None if none can be read.
    """
    sizes = []
    for item in originals.items(spread(np.arange(count), SIZES_READ)):
        try:
            sizes.append(item.size() if item.size else item.load().size)
        except BadImageError:  # the file has changed since
            continue
    return Sizes(*np.array(sizes).T) if sizes else None


def spread(rows: np.ndarray, count: int) -> np.ndarray:
    """Choose up to `count` of some rows, evenly from the first to the last."""
    return rows if len(rows) <= count else rows[np.linspace(0, len(rows) - 1, count).round().astype(np.int64)]


def samples(dataset: PreparedDataset, classes: int, columns: int) -> dict[int, np.ndarray]:
    """Return rows of some images of some classes, both evenly spread.

    Args:
        classes: how many at most; of a set without any, the images have as much room as theirs would.
        columns: images of a class.
    Returns:
        Rows by label, (columns,) at most.
    """
    if not dataset.num_classes:
        return {0: spread(np.arange(len(dataset)), columns * min(classes, 10))}
    by_class = np.split(np.argsort(dataset.labels, kind="stable"), np.cumsum(dataset.info.images_per_class)[:-1])
    return {int(k): spread(by_class[k], columns) for k in spread(np.arange(dataset.num_classes), classes)}
