"""What the real client is told in these tests: a generator of a seed, a load into some cache, who it is."""

from pathlib import Path
from typing import Any

from tests.hub.client import HubClient

SETUP = """
import os, torch
from pathlib import Path
from huggingface_hub import CommitOperationAdd, HfApi
from sngan_cond import Generator, GeneratorConfig
from sngan_cond.loading import load_generator

torch.manual_seed(seed)
G = Generator(GeneratorConfig(resolution=32, channels=4, num_classes=3, latent_dim=8)).eval()
"""
ROWS = [{"name": "toy", "value": 1.5, "protocol": "p", "extractor": "e", "seed": 0}]
_LOAD = (
    SETUP
    + """
model = load_generator(name, revision=revision, cache_dir=cache)
same = all(torch.equal(a, b) for a, b in zip(G.state_dict().values(), model.generator.state_dict().values()))
result = [same, model.commit_hash, model.metrics, model.card is not None]
"""
)


def load(client: HubClient, seed: int, name: str, cache: Path, revision: str | None = None) -> list[Any]:
    """Load a model; the result: are its weights those that the seed gives, its commit, its metrics, has it a card."""
    return client.run(_LOAD, seed=seed, name=name, revision=revision, cache=str(cache))
