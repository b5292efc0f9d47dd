"""The sample grid of a run: a row a class, a column a latent, the same at every step."""

import torch
from torch import Tensor

from sngan_cond.config import GeneratorConfig
from sngan_cond.latents import draw_latents
from sngan_cond.randomness import rng_for

MAX_ROWS = 10


def grid_inputs(config: GeneratorConfig, *, seed: int, columns: int) -> tuple[Tensor, Tensor | None]:
    """Return what a generator makes the images of a grid from, row by row.

    Args:
        seed: the run's, 0 to 2**63 - 1; the same seed gives the same latents at every step.
        columns: images in a row.
    Returns:
        Latents (N, latent_dim), and labels (N,) int64 of a generator with classes: of the first to the last, evenly
        where there are more than `MAX_ROWS`.
    """
    rows = min(config.num_classes or columns, MAX_ROWS)
    latents = columns if config.num_classes else rows * columns
    z = draw_latents(latents, config.latent_dim, rng=rng_for(seed, "samples"), latent=config.latent)
    if not config.num_classes:
        return z, None
    labels = torch.linspace(0, config.num_classes - 1, rows).round().long()
    return z.repeat(rows, 1), labels.repeat_interleave(columns)
