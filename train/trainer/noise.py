"""What a step draws besides real images, as a function of (seed, purpose, update), sliced by rank."""

from typing import NamedTuple

import torch
from torch import Tensor

from sngan_cond import GeneratorConfig
from sngan_cond.randomness import rng_for


class LatentSampler(NamedTuple):
    """Source of latents and labels of one process.

    Numbers are drawn for the whole batch and sliced, so that all processes together see the same batch whatever their
    number.

    Args:
        config: which latents and how many classes.
        device: where numbers are drawn; a GPU draws others than a CPU.
    """

    config: GeneratorConfig
    seed: int
    rank: int
    world_size: int
    device: torch.device

    def fakes(self, purpose: str, update: int, total: int) -> tuple[Tensor, Tensor | None]:
        """Draw latents and uniform labels of one update.

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
        mine = slice(self.rank * total // self.world_size, (self.rank + 1) * total // self.world_size)
        if not self.config.num_classes:
            return z[mine], None
        rng = rng_for(self.seed, f"{purpose}/labels", update, device=self.device)
        y = torch.randint(self.config.num_classes, (total,), generator=rng, device=self.device)
        return z[mine], y[mine]

    def rank_rng(self, purpose: str, update: int) -> torch.Generator:
        """Return the source of one kind of random numbers of one update, of this process alone."""
        return rng_for(self.seed, purpose, update, self.rank, device=self.device)
