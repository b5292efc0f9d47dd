"""Tiny real models for the page's tests."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from sngan_cond import Generator, GeneratorConfig
from sngan_cond.images import save_png
from tests.hub.client import HubClient

NAMES = ("tench", "crane", "golf <b>ball</b>", "crane")
IDS = ("n00000001", "n00000002", "n00000003", "n00000004")
METRICS = {"metrics": [{"name": "score", "value": 12.5, "protocol": "quick", "extractor": "toy"}]}
CARD = """---
license: mit
---
# Toy

<script>alert(1)</script> ![x](https://example.org/track.png)

```mermaid
%%{init: {"themeCSS": "* { background: url(https://example.org/track.png) }"}}%%
graph LR
A@{ img: "https://example.org/track.png", label: "A" }
```

$x^2$ ${1 + 1} {{value}}

![samples](samples.png)

<details><summary>Classes</summary>

tench, crane

</details>
"""


def tiny_generator(seed: int = 0, *, num_classes: int = 4, named: bool = True) -> Generator:
    """Build a generator at 32 px whose classes differ."""
    torch.manual_seed(seed)
    names = {"class_names": NAMES, "class_ids": IDS} if named and num_classes == len(NAMES) else {}
    config = GeneratorConfig(resolution=32, num_classes=num_classes, latent_dim=8, channels=4, **names)
    G = Generator(config)
    for name, tensor in G.state_dict().items():
        if name.endswith("running_var"):
            tensor.fill_(1.0)
        elif name.endswith((".gain", ".bias")):
            tensor.add_(torch.randn_like(tensor))
    return G.eval()


def save_tiny(folder: Path, seed: int = 0, **options: bool | int) -> Path:
    """Save a tiny model with metrics, training metadata and a card that means harm."""
    tiny_generator(seed, **options).save_pretrained(folder)  # type: ignore[arg-type]  # the keywords of tiny_generator
    (folder / "metrics.json").write_text(json.dumps(METRICS))
    (folder / "training.json").write_text(json.dumps({"step": 450_000}))
    (folder / "README.md").write_text(CARD)
    save_png(torch.zeros(3, 2, 3, dtype=torch.uint8), folder / "samples.png")
    return folder


def damage(folder: Path, kind: str) -> None:
    """Make a saved model one that must be refused.

    Args:
        kind: "huge", "foreign", "lying" about its header, "pickle", "NaN" in its statistics, or the name of a file
            that becomes unreadable.
    """
    config, weights = folder / "config.json", folder / "model.safetensors"
    if kind == "huge":
        config.write_text(json.dumps(json.loads(config.read_text()) | {"channels": 1_000_000_000}))
    elif kind == "foreign":
        config.write_text(json.dumps({"model_type": "bert", "hidden_size": 768}))
    elif kind == "lying":
        weights.write_bytes((2**62).to_bytes(8, "little") + weights.read_bytes()[8:])
    elif kind == "NaN":
        tensors = load_file(weights)
        tensors["network.norm.running_mean"][:2] = float("nan")
        save_file(tensors, weights)
    elif kind == "pickle":
        weights.rename(folder / "pytorch_model.bin")
    else:
        (folder / kind).write_bytes({"metrics.json": b"{", "training.json": b"[]", "README.md": b"\xff"}[kind])


def push(client: HubClient, repo: str, folder: Path, *, private: bool = False) -> None:
    """Upload a folder as it is, whether or not it is a model."""
    client.run(
        "from huggingface_hub import HfApi; api = HfApi(); api.create_repo(repo, private=private); "
        "result = str(api.upload_folder(repo_id=repo, folder_path=folder))",
        repo=repo,
        folder=str(folder),
        private=private,
    )
