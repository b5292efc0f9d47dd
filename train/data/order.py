"""The order in which real images are seen: a shuffle per epoch, computed at any position directly."""

import torch

from sngan_cond.randomness import rng_for

KEPT_EPOCHS = 2  # a batch and the batches prefetched after it rarely span more


class ShuffledOrder:
    """An endless sequence of image indices in which every epoch is a fresh permutation of all of them.

    A permutation per epoch, not draws with replacement: every image is seen equally often. Nothing is carried from one
    epoch to the next, so a resumed run asks for its position and needs no sampler state.

    Args:
        count: number of images N > 0.
        seed: of the run; the permutation of epoch e depends on (seed, e) alone.
        device: where `indices` are wanted.
    """

    def __init__(self, count: int, *, seed: int, device: torch.device | str = "cpu") -> None:
        self.count, self.seed, self.device = count, seed, device
        self._epochs: dict[int, torch.Tensor] = {}

    def indices(self, start: int, stop: int) -> torch.Tensor:
        """Look up a stretch of the sequence.

        Args:
            start: first position, counted in images from the start of training.
            stop: position after the last.
        Returns:
            (stop - start,) int64 on `device`; something is copied there only once per epoch.
        """
        pieces = []  # of several epochs where the batch straddles their border or exceeds the data set
        while start < stop:
            epoch, first = divmod(start, self.count)
            last = min(first + stop - start, self.count)
            pieces.append(self._permutation(epoch)[first:last])
            start += last - first
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def _permutation(self, epoch: int) -> torch.Tensor:
        if epoch not in self._epochs:
            # Drawn on the CPU: one seed gives other numbers on a GPU, and every device must see one order.
            drawn = torch.randperm(self.count, generator=rng_for(self.seed, "shuffle", epoch))
            while len(self._epochs) >= KEPT_EPOCHS:
                self._epochs.pop(next(iter(self._epochs)))
            if torch.device(self.device).type == "cuda":
                # From pageable memory the copy could not be asynchronous: the CPU would wait here until the GPU has
                # done all the work that is queued before it, once per epoch.
                drawn = drawn.pin_memory()
            self._epochs[epoch] = drawn.to(self.device, non_blocking=True)
        return self._epochs[epoch]
