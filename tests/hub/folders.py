"""Folders of saved generators for the tests, and ways to damage them."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from sngan_cond import (
    ConstraintConfig,
    Discriminator,
    DiscriminatorConfig,
    Generator,
    GeneratorConfig,
    build_constraint,
)

CONFIG = GeneratorConfig(resolution=32, channels=4, num_classes=3, latent_dim=8, class_names=("a", "b", "c"))
METRICS = {"metrics": [{"name": "toy score", "value": 1.25, "protocol": "p", "extractor": "e", "seed": 7}]}


def make(config: GeneratorConfig = CONFIG) -> Generator:
    """Build a generator whose running statistics and biases are no longer those of a fresh one."""
    torch.manual_seed(0)
    G = Generator(config)
    labels = torch.arange(8) % config.num_classes if config.num_classes else None
    G(torch.randn(8, config.latent_dim), labels)
    return G


def make_discriminator(
    constraint: ConstraintConfig = ConstraintConfig(),  # noqa: B008 - it is frozen
    config: DiscriminatorConfig = DiscriminatorConfig(resolution=32, num_classes=3, channels=4),  # noqa: B008
) -> Discriminator:
    """Build a discriminator whose constraint has been used once."""
    torch.manual_seed(1)
    D = Discriminator(config)
    build_constraint(constraint).attach(D)
    D(torch.randn(4, 3, 32, 32), [0, 2, 1, 1] if config.num_classes else None)
    return D.eval()


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads((folder / "config.json").read_text())
    change(values)
    (folder / "config.json").write_text(json.dumps(values))


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = {name: tensor.clone() for name, tensor in load_file(folder / "model.safetensors").items()}
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def reheader(folder: Path, change: Callable[[dict[str, Any]], object], *, claim: int | None = None) -> None:
    """Rewrite a safetensors header, keeping the numbers behind it."""
    content = (folder / "model.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    change(header)
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", claim or len(text)) + text + content[8 + size :])
