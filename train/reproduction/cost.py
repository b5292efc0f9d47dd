"""How long a row would train on this machine, from timed updates of its own networks."""

import functools
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from sngan_cond import Discriminator, Generator, build_constraint
from sngan_cond.objectives import DiscriminatorBatch, Objective, discriminator_objective, generator_objective
from train.config import TrainConfig
from train.run.numerics import Precision, gpu_of

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
PRECISION: Precision = "bf16" if (_gpu := gpu_of(DEVICE)) is not None and _gpu.bf16 else "fp32"  # as a run takes it
MEASURED_IMAGES = 4


def hours(config: TrainConfig) -> float:
    """Estimate the hours that a run trains on one device of this machine in `PRECISION`, evaluation apart.

    An estimate from above: work once an update, such as the orthonormal penalty's, is counted for every image as if a
    batch had `MEASURED_IMAGES`. The optimisers' would be counted so too, and is left out. Rows that differ only in
    scales or learning rates share a measurement.
    """
    timed = TrainConfig(  # all that the time of an update depends on
        generator=config.generator,
        discriminator=config.discriminator,
        constraint=replace(config.constraint, scale=1.0, init="as_built", init_scale=1.0),
        constraint_g=config.constraint_g,
        loss=config.loss,
    )
    d, g = _seconds_an_image(timed)
    return config.steps * (config.d_updates_per_step * config.batch_total * d + config.fakes_per_step * g) / 3600


@functools.cache
def _seconds_an_image(config: TrainConfig) -> tuple[float, float]:
    """Return the seconds that an update of D, and one of G, takes for one of its images."""
    n, side = MEASURED_IMAGES, config.generator.resolution
    with torch.random.fork_rng():
        G, D = Generator(config.generator), Discriminator(config.discriminator)
        constraint = build_constraint(config.constraint)
        constraint.attach(D)
        build_constraint(config.constraint_g).attach(G)
        G, D = G.to(DEVICE), D.to(DEVICE)
        z = torch.randn(n, config.generator.latent_dim, device=DEVICE)
        real = torch.randn(n, 3, side, side, device=DEVICE)
        y = torch.zeros(n, dtype=torch.int64, device=DEVICE) if config.generator.num_classes else None
        batch = DiscriminatorBatch(real, y, z, y)
        d = _seconds(lambda: discriminator_objective(D, G, batch, loss=config.loss, constraint=constraint))
        g = _seconds(lambda: generator_objective(D, G, z, y, loss=config.loss))
    return d / n, g / n


def _seconds(objective: Callable[[], Objective]) -> float:
    def update() -> None:
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=PRECISION == "bf16"):
            loss = objective().total
        loss.backward()

    update()  # the first one pays for allocations
    started = _now()
    update()
    return _now() - started


def _now() -> float:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize(DEVICE)
    return time.perf_counter()
