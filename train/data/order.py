"""The order in which real images are seen, computed at any position directly: epochs that are shuffled, or balanced."""

import torch
from torch import Tensor

from sngan_cond.randomness import rng_for

KEPT_EPOCHS = 2  # a batch and the batches prefetched after it rarely span more


class ShuffledOrder:
    """An endless sequence of image indices in which every epoch is a fresh permutation of all of them.

    A permutation per epoch, not draws with replacement: every image is seen equally often. Nothing is carried from one
    epoch to the next, so a resumed run asks for its position and needs no sampler state.

    Args:
        images: (N,) int64, N > 0, what the sequence is made of.
        seed: of the run; the permutation of epoch e depends on (seed, e) alone.
        device: where `indices` are wanted.
    """

    def __init__(self, images: Tensor, *, seed: int, device: torch.device | str = "cpu") -> None:
        self.images, self.seed, self.device = images, seed, device
        self.period = len(images)  # positions of an epoch
        self._epochs: dict[int, Tensor] = {}

    def indices(self, start: int, stop: int) -> Tensor:
        """Look up a stretch of the sequence.

        Args:
            start: first position, counted in images from the start of training.
            stop: position after the last.
        Returns:
            (stop - start,) int64 on `device`; something is copied there only once per epoch.
        """
        pieces = []  # of several epochs where the batch straddles their border or exceeds the data set
        while start < stop:
            epoch, first = divmod(start, self.period)
            last = min(first + stop - start, self.period)
            pieces.append(self._epoch(epoch)[first:last])
            start += last - first
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def _epoch(self, epoch: int) -> Tensor:
        if epoch not in self._epochs:
            # Drawn on the CPU: one seed gives other numbers on a GPU, and every device must see one order.
            drawn = self._draw(epoch)
            while len(self._epochs) >= KEPT_EPOCHS:
                self._epochs.pop(next(iter(self._epochs)))
            if torch.device(self.device).type == "cuda":
                # From pageable memory the copy could not be asynchronous: the CPU would wait here until the GPU has
                # done all the work that is queued before it, once per epoch.
                drawn = drawn.pin_memory()
            self._epochs[epoch] = drawn.to(self.device, non_blocking=True)
        return self._epochs[epoch]

    def _draw(self, epoch: int) -> Tensor:
        return self.images[torch.randperm(self.period, generator=rng_for(self.seed, "shuffle", epoch))]


class BalancedOrder(ShuffledOrder):
    """An endless sequence of image indices in which every class is equally frequent.

    A round shows one image of each class, in an order of its own, and each class goes through permutations of its own
    images, one after the other: no image of a class comes twice before the others came once.

    Args:
        images: (N,) int64, N > 0, what the sequence is made of.
        labels: (N,) int64, their classes.
        seed: of the run; what a position shows depends on (seed, position) alone.
        device: where `indices` are wanted.
    """

    def __init__(self, images: Tensor, labels: Tensor, *, seed: int, device: torch.device | str = "cpu") -> None:
        super().__init__(images, seed=seed, device=device)
        self._classes = [images[rows] for rows in rows_by_class(labels)]
        self._rounds = -(-len(images) // len(self._classes))  # in an epoch, which is about as long as a shuffled one
        self.period = self._rounds * len(self._classes)

    def _draw(self, epoch: int) -> Tensor:
        first = epoch * self._rounds
        shown = torch.stack([self._of_class(c, first, first + self._rounds) for c in range(len(self._classes))])
        order = _permutations(self._rounds, len(self._classes), rng_for(self.seed, "balance", epoch))
        return shown.T.gather(1, order).flatten()

    def _of_class(self, c: int, start: int, stop: int) -> Tensor:
        """Return the images that a class shows in rounds start to stop - 1."""
        images, pieces = self._classes[c], []
        at_once = max(self._rounds // len(images), 1)  # permutations of one draw: of a small class an epoch takes many
        length = at_once * len(images)
        for block in range(start // length, -(-stop // length)):
            rows = _permutations(at_once, len(images), rng_for(self.seed, "balance", "class", c, block)).flatten()
            pieces.append(images[rows[max(start - block * length, 0) : stop - block * length]])
        return torch.cat(pieces)


def hold_out(labels: Tensor, fraction: float, *, seed: int) -> tuple[Tensor, Tensor]:
    """Divide a data set into images to train on and images that are kept from training.

    Of each class the fraction is kept out, rounded, but at least one image, and at least one is left.

    Args:
        labels: (N,) int64.
        fraction: 0 to 0.5; 0 keeps none.
        seed: of the run; which images they are depends on (seed, labels, fraction) alone.
    Returns:
        Indices (N - M,) of the images to train on, ascending, and (M,) of the others, shuffled.
    """
    kept = torch.ones(len(labels), dtype=torch.bool)
    if fraction:
        for c, rows in enumerate(rows_by_class(labels)):
            count = min(max(round(fraction * len(rows)), 1), len(rows) - 1)
            kept[rows[torch.randperm(len(rows), generator=rng_for(seed, "held-out", c))[:count]]] = False
    train, held_out = (mask.nonzero().squeeze(1) for mask in (kept, ~kept))
    return train, held_out[torch.randperm(len(held_out), generator=rng_for(seed, "held-out"))]


def rows_by_class(labels: Tensor) -> list[Tensor]:
    """Return the positions of each class's labels, ascending, of those classes that have any."""
    return [rows for rows in labels.argsort(stable=True).split(labels.bincount().tolist()) if len(rows)]


def _permutations(count: int, length: int, rng: torch.Generator) -> Tensor:
    """Draw (count, length) int64, a permutation in each row, in one call where `randperm` takes a call for each."""
    # Of 53 bits, so that equal numbers, which would stay in order, hardly occur in the largest class.
    return torch.rand(count, length, generator=rng, dtype=torch.float64).argsort(dim=1, stable=True)
