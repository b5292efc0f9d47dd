"""What each update takes: real images, latents, labels, and the numbers of augmentation, in micro-batches."""

from typing import TypeVar

import torch
from torch import Tensor

from sngan_cond.config import GeneratorConfig
from sngan_cond.objectives import DiscriminatorBatch, GeneratorBatch
from train.config import TrainConfig
from train.data.dataset import PreparedDataset
from train.data.feed import RealBatches
from train.trainer.noise import LatentSampler

Batch = TypeVar("Batch", DiscriminatorBatch, GeneratorBatch)


class Batches:
    """One process's share of the batches of a run, each drawn from the seed and the number of its update.

    Args:
        generator_config: whose latents and labels are drawn.
        rank: of this process, below world_size.
        device: where batches are put.
    """

    def __init__(
        self,
        config: TrainConfig,
        dataset: PreparedDataset,
        generator_config: GeneratorConfig,
        *,
        rank: int,
        world_size: int,
        device: torch.device,
    ) -> None:
        self.config = config
        self.noise = LatentSampler(generator_config, config.seed, rank, world_size, device)
        if config.data.fake_labels == "data" and config.num_classes:
            self.noise = self.noise.with_labels_like(dataset.info.images_per_class)
        self.real = RealBatches(
            dataset,
            config.batch_total,
            seed=config.seed,
            rank=rank,
            world_size=world_size,
            device=device,
            flip=config.data.flip,
            dequantise=config.data.dequantise,
            resident=config.data.resident,
            balance=config.data.balance,
            held_out=config.data.held_out,
        )

    def of_g(self, step: int) -> list[GeneratorBatch]:
        """Return the micro-batches of a G update."""
        total = self.config.fakes_per_step
        z, y = self.noise.fakes("g", step, total)
        return self._micro_batches(GeneratorBatch(z, y, self._augmentation("g", step, total)))

    def of_d(self, update: int) -> list[DiscriminatorBatch]:
        """Return the micro-batches of a D update."""
        total = self.config.batch_total
        x, y = self.real.at(update)
        z, y_fake = self.noise.fakes("d", update, total)
        numbers = (self._augmentation(f"d/{whose}", update, total) for whose in ("real", "fake"))
        return self._micro_batches(DiscriminatorBatch(x, y if self.config.num_classes else None, z, y_fake, *numbers))

    def penalty_rng(self, update: int) -> torch.Generator:
        """Return the source of the random numbers of a D update's gradient penalty."""
        return self.noise.rank_rng("penalty", update)

    def _augmentation(self, purpose: str, update: int, total: int) -> Tensor | None:
        return self.noise.augmentation(purpose, update, total) if self.config.augment.policy else None

    def _micro_batches(self, batch: Batch) -> list[Batch]:
        n = self.config.accumulate
        parts = ((None,) * n if t is None else t.chunk(n) for t in batch)
        return [type(batch)(*part) for part in zip(*parts, strict=True)]
