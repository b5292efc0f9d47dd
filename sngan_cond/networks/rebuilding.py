"""What a file of a discriminator's weights says of itself, and the discriminator that it describes."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import nn

from sngan_cond.config import DiscriminatorConfig
from sngan_cond.constraints.build import build_constraint
from sngan_cond.constraints.config import ConstraintConfig
from sngan_cond.hub.files import DISCRIMINATOR_FILE, ModelFiles, PretrainedError
from sngan_cond.hub.weights import read_header, shape_of
from sngan_cond.stored import parse_json
from sngan_cond.validation import one_line

_SHARED_KEYS = ("resolution", "num_classes", "architecture")  # of both networks: at the top of a run's configuration

D = TypeVar("D", bound=nn.Module)


def config_text(config: DiscriminatorConfig, constraint: ConstraintConfig) -> str:
    """Return both configurations as JSON, for a file of the weights."""
    return json.dumps({"discriminator": config.to_dict(), "constraint": constraint.to_dict()})


def rebuild(kind: type[D], files: ModelFiles) -> D:
    """Build the discriminator that a file describes, its constraint attached; its weights are yet to be read.

    Args:
        kind: `Discriminator`.
        files: `discriminator.safetensors`, and `training.json` for files of before 0.2, which say nothing themselves.
    Raises:
        PretrainedError: if nothing describes it, or the description is not allowed or of a larger network.
    """
    path = files.folder / DISCRIMINATOR_FILE
    text, numbers = read_header(path)
    values = _of_run(files.training) if text is None else parse_json(text, error=PretrainedError, name=path)
    network, constraint_values = values.get("discriminator"), values.get("constraint")
    if not isinstance(network, dict) or not isinstance(constraint_values, dict):
        raise PretrainedError(f"{path}: does not say of which network and constraint it is: save it again")
    try:
        config, constraint = DiscriminatorConfig.from_dict(network), ConstraintConfig.from_dict(constraint_values)
        wanted = sum(tensor.numel() for tensor in shape_of(kind, config).state_dict().values())
        if wanted > numbers:  # before anything is allocated
            raise ValueError(f"holds {numbers:,} numbers, a network of its config has {wanted:,}")
        return constrained(kind, config, constraint)
    except (ValueError, TypeError) as error:
        raise PretrainedError(f"{path}: {one_line(error, 400)}") from error


def constrained(kind: type[D], config: DiscriminatorConfig, constraint: ConstraintConfig) -> D:
    """Build a discriminator on the CPU with its constraint attached, whose weights and state are of no use."""
    network: D = shape_of(kind, config).to_empty(device="cpu")
    # What the constraint would draw, or measure off the weights, comes from the file.
    start = replace(constraint, init="as_built", init_scale=1.0, gamma_start="one")
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        build_constraint(start).attach(network)
    network.constraint = constraint  # type: ignore[assignment]
    return network


def _of_run(training: Mapping[str, Any] | None) -> dict[str, Any]:
    config = (training or {}).get("config")
    if not isinstance(config, dict) or not isinstance(config.get("discriminator"), dict):
        return {}
    shared = {key: config[key] for key in _SHARED_KEYS if key in config}
    return {"discriminator": shared | config["discriminator"], "constraint": config.get("constraint")}
