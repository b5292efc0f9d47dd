"""What the configuration of a run must agree with: its processes, and what the run's folder holds."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from train.config import FREE_KEYS, TrainConfig
from train.errors import TrainError
from train.presets.load import config_to_dict


def check_batches(config: TrainConfig, processes: int) -> None:
    """Raise a TrainError if processes and micro-batches cannot share the images of an update equally, or if batch norm
    would take moments of a single value.
    """
    parts = processes * config.accumulate
    synchronised = config.batch_norm == "synchronised" and processes > 1  # moments of all processes' images together
    least = 2 if config.generator.first_norm == "unit" and not synchronised else 1
    for name in ("batch_total", "fakes_per_step"):
        value = getattr(config, name)
        if value % parts:
            raise TrainError(
                f"{name}={value}: a multiple of {parts} is allowed "
                f"({processes} processes x accumulate={config.accumulate})"
            )
        if value < least * parts:
            raise TrainError(
                f"{name}={value} with generator.first_norm=unit: from {least * parts} is allowed, 2 images for each of "
                f"{processes} processes x accumulate={config.accumulate}; a single one has no variance"
            )


def check_device(config: TrainConfig, device: torch.device) -> None:
    """Raise a TrainError if a device cannot do what is asked for."""
    if config.batch_norm == "synchronised" and device.type == "cpu":
        raise TrainError("batch_norm=synchronised: PyTorch synchronises batch norm on GPUs only; use per_process")


def refuse_other_run(folder: Path, config: TrainConfig, asked: TrainConfig) -> None:
    """Raise a TrainError if a run's configuration is not the one asked for; keys that it lacks, for they are newer, are
    defaults.

    Args:
        folder: the run's, which the message names.
        config: that it has, from its first start.
        asked: of this start.
    """
    before, now = (flat(config_to_dict(either)) for either in (config, asked))
    for key in sorted(before.keys() | now.keys()):  # `init_classes` has the keys that a user gave it
        was, wanted = before.get(key), now.get(key)
        if was != wanted and not {key, key.split(".")[0]} & set(FREE_KEYS):
            raise TrainError(
                f"--run-dir {folder}: holds a run with {key}={was!r}, asked for is {wanted!r}; "
                "give the same configuration to continue it, or another --run-dir"
            )


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values by their dotted keys; lists are texts."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value if isinstance(value, bool | int | float | str) else json.dumps(value)
    return found
