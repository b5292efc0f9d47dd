"""How long a row would train on this machine, from timed updates of its own networks."""

import dataclasses
import time
from collections.abc import Callable
from typing import NamedTuple

import torch

from sngan_cond import Discriminator, Generator, build_constraint
from sngan_cond.objectives import DiscriminatorBatch, Objective, discriminator_objective, generator_objective
from train.config import TrainConfig

MEASURED_IMAGES = 4


class UpdateCost(NamedTuple):
    """Seconds that an update of each network takes for one of its images."""

    d: float
    g: float


class CostMeter:
    """Times each pair of networks once: rows that differ only in scales or learning rates share a measurement.

    An estimate from above: work once an update, such as the orthonormal penalty's, is counted for every image as if a
    batch had `MEASURED_IMAGES`. The optimisers' work would be counted so as well, and is left out.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], UpdateCost] = {}
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def hours(self, config: TrainConfig) -> float:
        """Estimate the hours that a run trains on one device of this machine, evaluation apart."""
        constraint = dataclasses.replace(config.constraint, scale=1.0, init="as_built", init_scale=1.0)
        key = (config.generator, config.discriminator, constraint, config.constraint_g.kind, config.loss.kind)
        one = self._known[key] if key in self._known else self._known.setdefault(key, self._measured(config))
        d_images = config.d_updates_per_step * config.batch_total
        return config.steps * (d_images * one.d + config.fakes_per_step * one.g) / 3600

    def _measured(self, config: TrainConfig) -> UpdateCost:
        with torch.random.fork_rng():
            G, D = Generator(config.generator), Discriminator(config.discriminator)
            constraint, loss = build_constraint(config.constraint), config.loss
            constraint.attach(D)
            build_constraint(config.constraint_g).attach(G)
            G, D = G.to(self.device), D.to(self.device)
            z = torch.randn(MEASURED_IMAGES, config.generator.latent_dim, device=self.device)
            y = torch.zeros(MEASURED_IMAGES, dtype=torch.int64, device=self.device) if config.num_classes else None
            real = torch.randn(MEASURED_IMAGES, 3, config.resolution, config.resolution, device=self.device)
            batch = DiscriminatorBatch(real, y, z, y)
            return UpdateCost(
                d=self._seconds(lambda: discriminator_objective(D, G, batch, loss=loss, constraint=constraint)),
                g=self._seconds(lambda: generator_objective(D, G, z, y, loss=loss)),
            )

    def _seconds(self, objective: Callable[[], Objective]) -> float:
        objective().total.backward()  # the first one pays for allocations
        started = self._now()
        objective().total.backward()
        return (self._now() - started) / MEASURED_IMAGES

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()
