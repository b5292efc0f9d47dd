"""Fixed-latent sample grids: one row a class, one latent a column, the same at every step."""

import torch

from sngan_cond.images import save_png, to_grid
from sngan_cond.latents import draw_latents
from sngan_cond.randomness import rng_for
from sngan_cond.sampling import generate
from train.run.run import Run
from train.trainer.state import Networks, exported

MAX_ROWS = 10


def save_sample_grid(run: Run, networks: Networks, step: int) -> None:
    """Write `samples/step-XXXXXXXX.png` of the averaged generator, from the main process."""
    if not run.is_main:
        return
    config = networks.generator_config
    columns = run.config.samples_per_class
    rows = min(config.num_classes or columns, MAX_ROWS)
    latents = columns if config.num_classes else rows * columns
    z = draw_latents(latents, config.latent_dim, rng=rng_for(run.config.seed, "samples"), latent=config.latent)
    y = None
    if config.num_classes:
        labels = torch.linspace(0, config.num_classes - 1, rows).round().long()  # evenly over many classes
        y, z = labels.repeat_interleave(columns), z.repeat(rows, 1)
    network = exported(networks.ema.network)  # sampling the average itself would move its u, where it has one
    images = torch.cat(list(generate(network, z, y)))
    folder = run.folder / "samples"
    folder.mkdir(exist_ok=True)
    save_png(to_grid(images, columns=columns), folder / f"step-{step:08d}.png")
