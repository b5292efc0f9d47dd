"""Batches of real images as a pure function of (seed, update): no loader state, nothing to save, start anywhere."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal

import numpy as np
import torch

from sngan_cond.randomness import seed_for
from train.data.dataset import PreparedDataset
from train.data.order import BalancedOrder, ShuffledOrder, hold_out
from train.errors import DataError

Resident = Literal["auto", "always", "never"]
Balance = Literal["none", "classes"]
RESIDENT_FRACTION = 0.5  # of the device's free memory; `auto` leaves the rest to networks and activations
LOOK_AHEAD = 2  # batches fetched in the background when the images are not on the device
COPY_BLOCK_BYTES = 1 << 28
Raw = tuple[torch.Tensor, torch.Tensor]  # images (n, R, R, 3) uint8 and labels (n,) int64


class RealBatches:
    """This process's part of every batch of real images of a run.

    The batch of an update is the next `batch_total` images of the order; rank r of W takes its r-th contiguous slice.
    Flips and noise are drawn for the whole batch and sliced alike, so the batch that all ranks see together is the same
    for every world size, bit for bit.

    What lives on the device: if resident, all images as uint8 (a quarter of float32), their labels and the current
    permutations, so that a batch is a gather on the GPU and nothing crosses the bus. Otherwise nothing: images stay
    memory-mapped, and a background thread gathers the next batches into pinned memory.

    Args:
        batch_total: images in a batch over all processes; a multiple of `world_size`, may exceed the data set.
        rank: of this process, 0 to world_size - 1.
        flip: mirror each image with probability 1/2 (Miyato et al. 2018 do not).
        dequantise: add noise below the step of 8 bits.
        resident: `always`, `never`, or `auto`: on a GPU, if the images take at most RESIDENT_FRACTION of its free
            memory.
        balance: the order is `ShuffledOrder` ("none"), or `BalancedOrder` ("classes").
        held_out: fraction of each class that no batch shows, 0 to 0.5 (`hold_out`).
    Raises:
        DataError: if an argument is out of range.
    Attributes:
        num_held_out: number of images that no batch shows.
    """

    def __init__(
        self,
        dataset: PreparedDataset,
        batch_total: int,
        *,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device | str = "cpu",
        flip: bool = False,
        dequantise: bool = True,
        resident: Resident = "auto",
        balance: Balance = "none",
        held_out: float = 0.0,
    ) -> None:
        if batch_total < 1 or world_size < 1 or batch_total % world_size:
            raise DataError(f"batch_total is {batch_total}; allowed is a positive multiple of {world_size} processes")
        if not 0 <= rank < world_size:
            raise DataError(f"rank is {rank}; allowed is 0 to {world_size - 1}")
        if resident not in ("auto", "always", "never"):
            raise DataError(f"resident is {resident!r}; allowed are auto, always, never")
        if balance not in ("none", "classes"):
            raise DataError(f"balance is {balance!r}; allowed are none, classes")
        if not 0 <= held_out <= 0.5:
            raise DataError(f"held_out is {held_out}; allowed is 0 to 0.5")
        self.dataset, self.batch_total, self.seed, self.flip = dataset, batch_total, seed, flip
        self.dequantise = dequantise
        self.device = torch.device(device)
        per_rank = batch_total // world_size
        self._slice = slice(rank * per_rank, (rank + 1) * per_rank)
        self._rng = torch.Generator(device=self.device)
        self.is_resident = resident == "always" or (resident == "auto" and self._fits())
        place = self.device if self.is_resident else torch.device("cpu")  # indices are needed where the gather runs
        labels = torch.from_numpy(dataset.labels.copy())
        images, self._held_out = hold_out(labels, held_out, seed=seed)
        self.num_held_out = len(self._held_out)
        if balance == "classes":
            self._order: ShuffledOrder = BalancedOrder(images, labels[images], seed=seed, device=place)
        else:
            self._order = ShuffledOrder(images, seed=seed, device=place)
        self._labels = labels.to(place)
        self._images = _upload(dataset.images, self.device) if self.is_resident else None
        self._fetcher: ThreadPoolExecutor | None = None
        self._fetched: dict[int, Future[Raw]] = {}

    def at(self, update: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Make this process's batch of a discriminator update.

        Args:
            update: number of the D update, from 0 over the whole run; the loop splits the batch of an accumulated one.
        Returns:
            images: (N, 3, R, R) float32 in [-1, 1] on the device, channels-last in memory: x/128 - 1 + U[0, 1/128)
                (1.0 itself only by rounding), as in pfnet-research/sngan_projection datasets/imagenet.py; without
                noise x/127.5 - 1, as in common/dataset.py of pfnet-research/chainer-gan-lib.
            labels: (N,) int64 on the device; 0 where the data set has no classes.
        """
        x, labels = self._raw(update)  # (N, R, R, 3) uint8
        if self.flip:
            mirrored = self._draw("flip", update, (self.batch_total,), 0, 1) < 0.5
            x = torch.where(mirrored[:, None, None, None], x.flip(2), x)
        if not self.dequantise:
            return _stretched(x), labels
        side = self.dataset.resolution
        return _dequantised(x, self._draw("dequantise", update, (self.batch_total, side, side, 3), -128, -127)), labels

    def held_out(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Make a sample of the images that no batch shows, whole and the same in every process and at every call.

        Args:
            n: how many are wanted; there are `num_held_out`.
        Returns:
            images: (min(n, num_held_out), 3, R, R) float32 on the device, as those of a batch, and not mirrored.
            labels: as many int64 on the device.
        """
        indices = self._held_out[:n]
        x = torch.from_numpy(self.dataset.images[indices.numpy()]).to(self.device)
        labels = self._labels[indices.to(self._labels.device)].to(self.device)
        if not self.dequantise:
            return _stretched(x), labels
        self._rng.manual_seed(seed_for(self.seed, "held-out", "dequantise"))
        noise = torch.empty(x.shape, device=self.device).uniform_(-128, -127, generator=self._rng)
        return _dequantised(x, noise), labels

    def close(self) -> None:
        """Stop the background thread, if there is one."""
        if self._fetcher is not None:
            self._fetcher.shutdown(cancel_futures=True)
            self._fetcher, self._fetched = None, {}

    def _draw(self, purpose: str, update: int, shape: tuple[int, ...], low: float, high: float) -> torch.Tensor:
        """Draw uniform numbers for the whole batch and keep this rank's slice.

        They depend on (seed, purpose, update) alone. A stream that runs on from batch to batch would have to be saved
        and restored, would shift when flips are switched on, and would differ between world sizes. The price is that
        every rank draws the noise of all.
        """
        self._rng.manual_seed(seed_for(self.seed, purpose, update))
        return torch.empty(shape, device=self.device).uniform_(low, high, generator=self._rng)[self._slice]

    def _fits(self) -> bool:
        if self.device.type != "cuda":
            return False  # on CPU the memory-map is as good as a copy
        free_bytes, _ = torch.cuda.mem_get_info(self.device)
        return self.dataset.images.nbytes <= RESIDENT_FRACTION * free_bytes

    def _raw(self, update: int) -> Raw:
        """Return the uint8 images and the labels of a batch on the device, and have the next ones fetched."""
        if self._images is not None:
            indices = self._indices(update)
            return self._images[indices], self._labels[indices]
        self._fetcher = self._fetcher or ThreadPoolExecutor(1, thread_name_prefix="real-batches")
        wanted = range(update, update + LOOK_AHEAD + 1)
        # After a jump, as when a run resumes, what was fetched for the old position is dropped.
        self._fetched = {key: future for key, future in self._fetched.items() if key in wanted}
        for key in wanted:
            if key not in self._fetched:
                self._fetched[key] = self._fetcher.submit(self._fetch, key)
        images, labels = self._fetched.pop(update).result()
        # The copies are queued on the current stream, in order before the kernels that read them, so the CPU need not
        # wait. The pinned source may be dropped at once: torch's host allocator reuses a block only once the copies
        # from it are done.
        return images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)

    def _indices(self, update: int) -> torch.Tensor:
        start = update * self.batch_total
        return self._order.indices(start + self._slice.start, start + self._slice.stop)

    def _fetch(self, update: int) -> Raw:
        """Gather a batch from the memory-map, in the background thread.

        There is one such thread, so batches come in order and `_order`, which no other thread uses, needs no lock.
        np.take releases the GIL: training goes on while the disk is waited for.
        """
        indices = self._indices(update)
        pinned = self.device.type == "cuda"  # from pageable memory non_blocking copies would block all the same
        images = torch.empty((len(indices), *self.dataset.images.shape[1:]), dtype=torch.uint8, pin_memory=pinned)
        # Straight into pinned memory: with the default mode="raise", np.take would gather into a buffer and copy that.
        np.take(self.dataset.images, indices.numpy(), axis=0, out=images.numpy(), mode="clip")
        labels = self._labels[indices]
        return images, labels.pin_memory() if pinned else labels


def _dequantised(x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Return (N, 3, R, R) of images x (N, R, R, 3) uint8 and noise (N, R, R, 3) in [-128, -127), which is used up."""
    # (x + u - 128) / 128, in place in the noise and straight from uint8: two passes over the floats and no other float
    # tensor. Dividing by 128 is exact, and the sum is as fine as the result can be.
    # The files are NHWC, so the permuted view is already channels-last, as the convolutions want it.
    return noise.add_(x).mul_(1 / 128).permute(0, 3, 1, 2)


def _stretched(x: torch.Tensor) -> torch.Tensor:
    """Return (N, 3, R, R) float32 in [-1, 1] of images x (N, R, R, 3) uint8, channels-last in memory."""
    return x.float().div_(127.5).sub_(1).permute(0, 3, 1, 2)


def _upload(images: np.ndarray, device: torch.device) -> torch.Tensor:
    """Copy a memory-mapped array to the device block by block, so that host memory never holds all of it."""
    target = torch.empty(images.shape, dtype=torch.uint8, device=device)
    per_block = max(COPY_BLOCK_BYTES // images[0].nbytes, 1)
    for start in range(0, len(images), per_block):
        # .copy(): torch tensors are writable, and a read-only memory-map is not.
        target[start : start + per_block] = torch.from_numpy(images[start : start + per_block].copy())
    return target
