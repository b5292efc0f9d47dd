"""Streams of images, generated or real: the i-th image is the same for every batch size and number of processes."""

import functools
from dataclasses import KW_ONLY, dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from sngan_cond.latents import draw_latents
from sngan_cond.networks.generator import Generator
from sngan_cond.randomness import rng_for
from sngan_cond.sampling import to_uint8
from sngan_cond.transfer import to_device
from train.data.dataset import PreparedDataset
from train.evaluation.distributed import Processes
from train.evaluation.finite import FiniteWatch
from train.evaluation.protocols import Labels

LATENT_BLOCK = 256  # latents drawn from one seed, so that the first of any shard costs no more draws than these
REALS_SEED = 0  # of the choice of real images; the same for every model, so that their features can be cached


class Stream(Protocol):
    """A fixed sequence of `count` images."""

    count: int

    def images(self, start: int, stop: int) -> Tensor:
        """Return images start to stop - 1, uint8 (n, 3, R, R)."""
        ...

    def check(self) -> None:
        """Raise an EvaluationError if images that were returned are worth nothing; waits for their device."""
        ...


@dataclass(eq=False)
class FakeStream:
    """Images of a generator; the i-th depends on (seed, part, i) and its label alone.

    Args:
        generator: in eval mode.
        labels: (N,) int64; None for a model without classes.
        part: which of an evaluation's streams this is, "all" or "class 7".
        truncation: as in `sngan_cond.sample`; None for plain latents.
    """

    generator: Generator
    labels: Tensor | None
    count: int
    _: KW_ONLY
    seed: int
    part: str
    truncation: float | None = None
    _watch: FiniteWatch = field(default_factory=FiniteWatch, init=False)

    @property
    def device(self) -> torch.device:
        """The generator's."""
        return next(self.generator.parameters()).device

    @torch.no_grad()
    def images(self, start: int, stop: int) -> Tensor:
        """Generate images start to stop - 1, uint8 (n, 3, R, R) on the generator's device.

        In float32 and not compiled, whatever training does: scores are to be those of the model that others load.
        """
        z = to_device(self.latents(start, stop), self.device)  # drawn on the CPU, so that every device gets the same
        y = None if self.labels is None else to_device(self.labels[start:stop], self.device)
        images = self.generator(z, y)
        among = f"among {start:,} to {stop - 1:,}"
        self._watch.note(images, f"the generator makes images that are not finite, {among}")
        return to_uint8(images)

    def check(self) -> None:
        """Raise an EvaluationError if an image was not finite; as uint8 it would be scored like any other."""
        self._watch.check()

    def latents(self, start: int, stop: int) -> Tensor:
        """Return latents start to stop - 1, (n, latent_dim) on the CPU."""
        config, first = self.generator.config, start // LATENT_BLOCK
        decided_by = (self.seed, self.part, config.latent_dim, config.latent, self.truncation)
        blocks = torch.cat([_latent_block(block, *decided_by) for block in range(first, -(-stop // LATENT_BLOCK))])
        return blocks[start - first * LATENT_BLOCK : stop - first * LATENT_BLOCK]


@functools.lru_cache(maxsize=1)  # a batch may end within a block
def _latent_block(block: int, seed: int, part: str, latent_dim: int, latent: str, truncation: float | None) -> Tensor:
    rng = rng_for(seed, "evaluation latents", part, block)
    return draw_latents(LATENT_BLOCK, latent_dim, rng=rng, truncation=truncation, latent=latent)


@dataclass(frozen=True)
class Group:
    """Generated images that are scored together.

    Args:
        label: of the class whose images these are; None for images of all classes.
        processes: that share the images out. All share those of all classes; of the classes, each takes whole ones.
    """

    label: int | None
    stream: FakeStream
    processes: Processes


def draw_labels(count: int, num_classes: int, how: Labels, seed: int) -> Tensor | None:
    """Return the labels of a stream of fakes.

    Args:
        num_classes: 0 gives None.
        how: "uniform" draws each label independently; "balanced" goes through all classes again and again, each time
            in a new order, so that for every n the first n labels are balanced to within one image a class.
    Returns:
        (count,) int64.
    """
    if not num_classes:
        return None
    rng = rng_for(seed, "evaluation labels", how)
    if how == "uniform":
        return torch.randint(num_classes, (count,), generator=rng)
    rounds = -(-count // num_classes)
    return torch.cat([torch.randperm(num_classes, generator=rng) for _ in range(rounds)])[:count]


class RealStream:
    """Images of a prepared data set.

    Args:
        indices: (N,) int64, which images, in this order.
        device: to put them on.
    """

    def __init__(self, dataset: PreparedDataset, indices: np.ndarray, device: torch.device) -> None:
        self.dataset, self.indices, self.count, self._device = dataset, indices, len(indices), device

    def images(self, start: int, stop: int) -> Tensor:
        """Read images start to stop - 1, uint8 (n, 3, R, R)."""
        return on_device(self.dataset.images[self.indices[start:stop]], self._device)

    def check(self) -> None:
        """Do nothing: a prepared image is what it is."""


def on_device(images: np.ndarray, device: torch.device) -> Tensor:
    """Copy images (n, R, R, 3) to a device, without waiting for what it does, and return them as (n, 3, R, R)."""
    return to_device(torch.from_numpy(images), device).permute(0, 3, 1, 2).contiguous()


def real_indices(dataset: PreparedDataset, count: int, label: int | None = None) -> np.ndarray:
    """Choose real images without replacement, the same for every evaluation.

    Args:
        count: all there are if it is larger.
        label: choose from this class only; None chooses from all.
    Returns:
        (count,) int64, ascending: a memory-mapped file is read front to back.
    """
    pool = np.arange(len(dataset)) if label is None else np.flatnonzero(dataset.labels == label)
    if count >= len(pool):
        return pool
    order = torch.randperm(len(pool), generator=rng_for(REALS_SEED, "evaluation reals", label or 0)).numpy()
    return np.sort(pool[order[:count]])
