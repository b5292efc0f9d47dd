"""A generator together with the files that say what is known about it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sngan_cond.hub.download import locate
from sngan_cond.hub.files import CARD_FILE, METRICS_FILE, SAMPLES_FILE, TRAINING_FILE, ModelFiles
from sngan_cond.networks.generator import Generator


@dataclass(frozen=True, kw_only=True)
class LoadedModel(ModelFiles):
    """A generator in eval mode, with its files."""

    generator: Generator


def load_generator(
    model: str | Path,
    *,
    torch_dtype: torch.dtype | None = None,
    device: torch.device | str | int | None = None,
    **options: Any,
) -> LoadedModel:
    """Load a generator, and fetch its metrics, training record, card and samples where there are any.

    Args:
        model, torch_dtype, device: as for `Generator.from_pretrained`.
        options: of `locate`.
    Raises:
        PretrainedError: a ValueError that says what is missing, unknown, damaged or refused, and what to do.
    """
    files = locate(model, extras=(METRICS_FILE, TRAINING_FILE, CARD_FILE, SAMPLES_FILE), **options)
    return LoadedModel(**vars(files), generator=Generator.from_files(files, torch_dtype=torch_dtype, device=device))
