"""How long a row would train on this machine, from timed updates of its own networks."""

import dataclasses
import time
from typing import NamedTuple

import torch

from sngan_cond import Discriminator, Generator, build_constraint
from sngan_cond.objectives import DiscriminatorBatch, discriminator_objective, generator_objective
from train.config import TrainConfig

MEASURED_IMAGES = 4


class UpdateCost(NamedTuple):
    """Seconds that an update of each network takes for one of its images."""

    d: float
    g: float


class CostMeter:
    """Times each pair of networks once: rows that differ only in scales or learning rates share a measurement.

    An estimate from above: work once an update, such as the orthonormal penalty's, is counted for every image as if a
    batch had `MEASURED_IMAGES`.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], UpdateCost] = {}
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def hours(self, config: TrainConfig) -> float:
        """Estimate the hours that a run trains on one device of this machine, evaluation apart."""
        one = self._measure(config)
        d_images = config.d_updates_per_step * config.batch_total
        return config.steps * (d_images * one.d + config.fakes_per_step * one.g) / 3600

    def _measure(self, config: TrainConfig) -> UpdateCost:
        constraint = dataclasses.replace(config.constraint, scale=1.0, init="as_built", init_scale=1.0)
        key = (config.generator, config.discriminator, constraint, config.constraint_g.kind, config.loss.kind)
        if key not in self._known:
            self._known[key] = self._time(config)
        return self._known[key]

    def _time(self, config: TrainConfig) -> UpdateCost:
        with torch.random.fork_rng():
            G, D = Generator(config.generator), Discriminator(config.discriminator)
            constraint = build_constraint(config.constraint)
            constraint.attach(D)
            build_constraint(config.constraint_g).attach(G)
            G, D = G.to(self.device), D.to(self.device)
            z = torch.randn(MEASURED_IMAGES, config.generator.latent_dim, device=self.device)
            y = torch.zeros(MEASURED_IMAGES, dtype=torch.int64, device=self.device) if config.num_classes else None
            real = torch.randn(MEASURED_IMAGES, 3, config.resolution, config.resolution, device=self.device)
            seconds = []
            for network in ("d", "g"):
                for attempt in range(2):  # the first one pays for allocations
                    if attempt:
                        started = self._now()
                    if network == "d":
                        batch = DiscriminatorBatch(real, y, z, y)
                        objective = discriminator_objective(D, G, batch, loss=config.loss, constraint=constraint)
                    else:
                        objective = generator_objective(D, G, z, y, loss=config.loss)
                    objective.total.backward()
                seconds.append((self._now() - started) / MEASURED_IMAGES)
        return UpdateCost(*seconds)

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()
