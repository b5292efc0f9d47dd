"""What a step draws besides real images, as a function of (seed, purpose, update), sliced by rank."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from sngan_cond import GeneratorConfig
from sngan_cond.augmentation import NUMBERS
from sngan_cond.randomness import rng_for


class LatentSampler(NamedTuple):
    """Source of latents and labels of one process.

    Numbers are drawn for the whole batch and sliced, so that all processes together see the same batch whatever their
    number.

    Args:
        config: which latents and how many classes.
        device: where numbers are drawn; a GPU draws others than a CPU.
        label_cdf: (num_classes,) float32 on the device, the probability of a label up to and with each; None draws
            labels uniformly.
    """

    config: GeneratorConfig
    seed: int
    rank: int
    world_size: int
    device: torch.device
    label_cdf: Tensor | None = None

    def with_labels_like(self, images_per_class: Sequence[int]) -> Self:
        """Return a source that draws labels as frequent as a data set has them, by the counts in label order."""
        ends = torch.tensor(images_per_class, dtype=torch.float64).cumsum(0)
        return self._replace(label_cdf=(ends / ends[-1]).float().to(self.device))

    def fakes(self, purpose: str, update: int, total: int) -> tuple[Tensor, Tensor | None]:
        """Draw latents and labels of one update.

        Args:
            purpose: "d" or "g".
            update: number of the update, counted from 0 among its kind.
            total: fakes over all processes.
        Returns:
            z (total / world_size, latent_dim) and y (total / world_size,) int64, or None without classes.
        """
        rng = rng_for(self.seed, f"{purpose}/latents", update, device=self.device)
        shape = (total, self.config.latent_dim)
        if self.config.latent == "normal":
            z = torch.randn(shape, generator=rng, device=self.device)
        else:
            z = torch.rand(shape, generator=rng, device=self.device) * 2 - 1
        mine = self._mine(total)
        if not self.config.num_classes:
            return z[mine], None
        rng = rng_for(self.seed, f"{purpose}/labels", update, device=self.device)
        if self.label_cdf is None:
            y = torch.randint(self.config.num_classes, (total,), generator=rng, device=self.device)
        else:  # the inverse of the distribution function, whose last value is 1, where no draw arrives
            u = torch.rand(total, generator=rng, device=self.device, dtype=torch.float32)
            y = torch.searchsorted(self.label_cdf, u, right=True)
        return z[mine], y[mine]

    def augmentation(self, purpose: str, update: int, total: int) -> Tensor:
        """Draw what `augmented` takes for the images of one update.

        Args:
            purpose: "d/real", "d/fake" or "g".
            update: as for `fakes`.
            total: images over all processes.
        Returns:
            (total / world_size, NUMBERS) uniform on [0, 1).
        """
        rng = rng_for(self.seed, f"{purpose}/augmentation", update, device=self.device)
        return torch.rand((total, NUMBERS), generator=rng, device=self.device)[self._mine(total)]

    def _mine(self, total: int) -> slice:
        return slice(self.rank * total // self.world_size, (self.rank + 1) * total // self.world_size)

    def rank_rng(self, purpose: str, update: int) -> torch.Generator:
        """Return the source of one kind of random numbers of one update, of this process alone."""
        return rng_for(self.seed, purpose, update, self.rank, device=self.device)
