"""The order in which real pictures are seen: one shuffle an epoch, known at any position at once."""

import torch

from sngan_cond.randomness import rng_for

KEPT_EPOCHS = 2  # a batch and its prefetched successors rarely span more


class ShuffledOrder:
    """An endless sequence of picture indices in which every epoch is a fresh permutation of all of them.

    Args:
        count: number of pictures N > 0.
        seed: of the run; the permutation of epoch e depends on (seed, e) alone.
        device: where `indices` are wanted. They are drawn on CPU, so every device sees one order.
    """

    def __init__(self, count: int, *, seed: int, device: torch.device | str = "cpu") -> None:
        self.count, self.seed, self.device = count, seed, device
        self._epochs: dict[int, torch.Tensor] = {}

    def indices(self, start: int, stop: int) -> torch.Tensor:
        """Look up a stretch of the sequence.

        Args:
            start: first position, counted in pictures from the start of training.
            stop: position after the last.
        Returns:
            (stop - start,) int64 on `device`; nothing is copied to it except once an epoch.
        """
        pieces = []
        while start < stop:
            epoch, first = divmod(start, self.count)
            last = min(first + stop - start, self.count)
            pieces.append(self._permutation(epoch)[first:last])
            start += last - first
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def _permutation(self, epoch: int) -> torch.Tensor:
        if epoch not in self._epochs:
            drawn = torch.randperm(self.count, generator=rng_for(self.seed, "shuffle", epoch))
            while len(self._epochs) >= KEPT_EPOCHS:
                self._epochs.pop(next(iter(self._epochs)))
            if torch.device(self.device).type == "cuda":
                drawn = drawn.pin_memory()  # a copy from other memory would wait for all that was launched
            self._epochs[epoch] = drawn.to(self.device, non_blocking=True)
        return self._epochs[epoch]
