"""A run folder made by hand: one checkpoint of a small generator, its facts and a picture."""

import json
from pathlib import Path
from typing import Any

import torch

from sngan_cond import Generator, GeneratorConfig
from tests.hub.folders import make_discriminator
from train.run.checkpoint import save_checkpoint

CONFIG = GeneratorConfig(
    resolution=32,
    channels=4,
    num_classes=3,
    latent_dim=8,
    class_names=("<b>bag</b>", "ankle | boot", "`c`[x](http://y)"),
)
TRAINING: dict[str, Any] = {
    "step": 5000,
    "images_seen": 320000,
    "seconds": 123.5,
    "config": {
        "resolution": 32,
        "num_classes": 3,
        "generator": {"channels": 4, "latent_dim": 8},
        "ema": {"decay": 0.99},
    },
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "hardware": {"device": "cpu", "name": "a *fast* machine", "threads": 2},
    "versions": {"python": "3.11.7"},
}
METRICS: dict[str, Any] = {
    "metrics": [
        {
            "name": "frechet_toy",
            "value": 12.34,
            "std": 0.05,
            "protocol": "quick",
            "extractor": "toy",
            "extractor_sha256": "ab" * 32,
            "real_count": 200,
            "fake_count": 400,
            "seed": 17,
        },
        {"name": "toy_accuracy", "value": 0.875, "protocol": "quick", "extractor": "toy", "seed": None},
    ]
}


def add_checkpoint(run_dir: Path, step: int, *, config: GeneratorConfig = CONFIG, seed: int | None = None) -> Path:
    """Write the checkpoint of a step, as training does, and its picture."""
    D = make_discriminator()
    torch.manual_seed(step if seed is None else seed)
    (run_dir / "samples").mkdir(parents=True, exist_ok=True)
    (run_dir / "samples" / f"step-{step:08d}.png").write_bytes(b"picture %d" % step)
    return save_checkpoint(
        run_dir / "checkpoints",
        state={"step": step, "images_seen": 64 * step, "seconds": 1.0, "world_size": 1, "config": TRAINING["config"]},
        tensors={"model": Generator(config).state_dict(), "discriminator": D.state_dict()},
        texts={"config.json": config.to_json(), "training.json": json.dumps({**TRAINING, "step": step})},
        headers={"discriminator": D.stored_config},
        keep=5,
    )
