"""Images that a data set holds more than once: the same pixels, or the same photograph encoded, resized or lit anew.

An image is described by its 8x8 lowest cosine frequencies. The signs of those of its grey version about their median
are its hash (Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions": the DCT based one);
those of its colours but the means, less the average of the set, are its direction. Two images are near duplicates if
their hashes differ in at most `MAX_BITS` of 64 bits and the cosine of their directions is at least `least_cosine`,
which follows the set: two sneakers on black are more alike than two photographs.

Measured with Imagenette's 9,469 photographs at 64 px, where the least cosine is 0.947: no pair of different ones counts
as near; the hash alone would take 86. Of 2,000 of them, all are found that were encoded anew (JPEG of quality 20 and
50, WebP of 50), halved, enlarged by half or made paler by a fifth; 99.6 % of those made brighter by a fifth, 90 % of
those that lost 3 % at each edge, 65 % of those that lost their colours, 19 % of those that lost 6 % at each edge.
"""

import dataclasses
import hashlib

import numpy as np
from tqdm import tqdm

MAX_BITS = 10
MIN_COSINE, MAX_COSINE = 0.92, 0.99
FREQUENCIES = 8
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow's grey
ROTATIONS = 16  # of the hash, 4 bits each
NEIGHBOURS = 128
SAMPLED = 1_000
FLAT = 0.5  # grey levels
BLOCK_BYTES = 1 << 23  # of images described at a time
_ONES = np.array([number.bit_count() for number in range(1 << 16)], np.uint8)


@dataclasses.dataclass(frozen=True)
class Group:
    """Images that show the same.

    Args:
        rows: their places in the data set, ascending.
        identical: whether all have the same pixels.
        across: whether they lie in more than one class.
    """

    rows: tuple[int, ...]
    identical: bool
    across: bool


def find_duplicates(images: np.ndarray, labels: np.ndarray) -> list[Group]:
    """Group images that are the same or nearly so; a group may be a chain, each link near the next.

    Takes N log N time and one reading of the images. Near duplicates are looked for among the nearest in the order of
    the hashes (`_join_near`), which up to 128 images are all; of CIFAR-10's 50,000 that joins all of the 645 pairs that
    comparing all with all finds.

    Args:
        images: (N, R, R, 3) uint8.
        labels: (N,) integers.
    Returns:
        Groups of two images or more: those across classes first, of these and the others the identical ones.
    """
    group, hashes, waves = _describe(images)
    first = group.copy()
    distinct = np.unique(first)
    _join_near(group, distinct, hashes[distinct], _Directions(waves[distinct]))
    by_group = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[by_group], prepend=-1))
    found = [
        Group(tuple(rows.tolist()), len(np.unique(first[rows])) == 1, len(np.unique(labels[rows])) > 1)
        for rows in np.split(by_group, starts[1:])
        if len(rows) > 1
    ]
    return sorted(found, key=lambda group: (not group.across, not group.identical, group.rows))


def _describe(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return of each image the first with the same pixels, the hash, and the waves of its colours, float16."""
    count, side = images.shape[:2]
    cosines = _cosines(side)
    first, hashes = np.empty(count, np.int64), np.empty(count, np.uint64)
    waves = np.empty((count, 3 * (FREQUENCIES**2 - 1)), np.float16)
    seen: dict[bytes, int] = {}
    step = max(1, BLOCK_BYTES // (3 * side * side))
    with tqdm(total=count, unit=" images", desc="comparing", mininterval=0.5, leave=False) as progress:
        for start in range(0, count, step):
            block = np.ascontiguousarray(images[start : start + step])
            here = slice(start, start + len(block))
            digests = (hashlib.sha256(image.data).digest() for image in block)
            first[here] = [seen.setdefault(digest, start + i) for i, digest in enumerate(digests)]
            down = cosines @ block.reshape(len(block), side, 3 * side).astype(np.float32)
            both = down.reshape(len(block), FREQUENCIES, side, 3).transpose(0, 3, 1, 2) @ cosines.T
            channels = both.reshape(len(block), 3, FREQUENCIES**2)
            grey = LUMA @ channels
            signs = grey > np.median(grey[:, 1:], axis=1, keepdims=True)
            hashes[here] = np.packbits(signs, axis=1).view(np.uint64)[:, 0]
            waves[here] = channels[:, :, 1:].reshape(len(block), -1)
            progress.update(len(block))
    return first, hashes, waves


def _cosines(side: int) -> np.ndarray:
    """Return the lowest frequencies of the DCT-II, (FREQUENCIES, side), scaled so that waves are in grey levels."""
    places = 2 * np.arange(side) + 1
    cosines = np.cos(np.pi * np.arange(FREQUENCIES)[:, None] * places / (2 * side))
    cosines[0] /= np.sqrt(2)
    return (cosines * np.sqrt(2) / side).astype(np.float32)


class _Directions:
    """Where images lie from the average of their set, as vectors of length 1; a flat image has 0, and is near no other.

    Args:
        waves: (n, d) float16, in grey levels; overwritten.
    """

    def __init__(self, waves: np.ndarray) -> None:
        average = waves.mean(axis=0, dtype=np.float64).astype(np.float32)
        for block in np.array_split(waves, len(waves) // 4096 + 1):
            flat = np.linalg.norm(block.astype(np.float32), axis=1, keepdims=True) < FLAT
            away = block - average
            lengths = np.linalg.norm(away, axis=1, keepdims=True)
            block[:] = away / np.where(flat | (lengths == 0), np.inf, lengths)
        self._directions = waves

    def of(self, rows: np.ndarray) -> np.ndarray:
        """Return those of some images, (m, d)."""
        return self._directions[rows].astype(np.float32)

    def least_cosine(self) -> float:
        """Return the cosine from which two images are near.

        It is eight times as near to 1 as what a hundredth of random pairs reach, within limits: below `MIN_COSINE`
        different photographs begin, and those encoded anew have `MAX_COSINE` and more.
        """
        sample = self.of(
            np.linspace(0, len(self._directions) - 1, min(SAMPLED, len(self._directions))).astype(np.int64)
        )
        pairs = (sample @ sample.T)[np.triu_indices(len(sample), 1)]
        usual = float(np.quantile(pairs, 0.99)) if len(pairs) else 0.0
        return min(max(1 - (1 - usual) / 8, MIN_COSINE), MAX_COSINE)


def _join_near(group: np.ndarray, rows: np.ndarray, hashes: np.ndarray, directions: _Directions) -> None:
    """Put images that are nearly the same into one group.

    Comparing all with all would take N^2 time. Here the hashes are sorted, each is compared with the `NEIGHBOURS` that
    follow, and that once more for every rotation of the hashes: hashes that differ in few bits begin alike in most.

    Args:
        group: (N,) of every image the first of its group; changed in place.
        rows: (n,) the images to compare.
        hashes: (n,) uint64.
        directions: of these n.
    """
    least = directions.least_cosine()
    for shift in range(0, 64, 64 // ROTATIONS):
        turned = hashes << np.uint64(shift) | hashes >> np.uint64((64 - shift) % 64)
        order = np.argsort(turned, kind="stable")
        hashed = hashes[order]
        for step in range(1, min(NEIGHBOURS, len(rows) - 1) + 1):
            alike = np.flatnonzero(_bits(hashed[step:] ^ hashed[:-step]) <= MAX_BITS)
            one, other = order[alike], order[alike + step]
            apart = group[rows[one]] != group[rows[other]]
            one, other = one[apart], other[apart]
            near = np.einsum("ij,ij->i", directions.of(one), directions.of(other)) >= least
            _join(group, rows[one[near]], rows[other[near]])


def _bits(numbers: np.ndarray) -> np.ndarray:
    """Count the ones in each of (n,) uint64."""
    quarters = _ONES[numbers.view(np.uint16).reshape(-1, 4)]
    return quarters[:, 0] + quarters[:, 1] + quarters[:, 2] + quarters[:, 3]


def _join(group: np.ndarray, one: np.ndarray, other: np.ndarray) -> None:
    """Join the groups of `one[i]` and `other[i]`; every group keeps the number of its first image."""
    while (group[one] != group[other]).any():
        low, high = np.minimum(group[one], group[other]), np.maximum(group[one], group[other])
        np.minimum.at(group, high, low)
        while (group != (shorter := group[group])).any():
            group[:] = shorter
