"""How to make a result again: everything that decides what the images are, as data, a link, a command and Python."""

import platform
from dataclasses import replace
from typing import Any

import torch

import sngan_cond
from app.models import Model
from app.requests.base import Request

FORMAT = 1


def recipe_for(model: Model, request: Request, labels: list[int]) -> dict[str, Any]:
    """Describe how to make the images of a request again.

    The commit stands for the branch, and labels for names, so that the link still works after either has changed.

    Returns:
        What `recipe.json` holds.
    """
    pinned = replace(request.with_labels(model.generator, labels), model=model.name, revision=model.commit_hash or "")
    return {
        "format": FORMAT,
        "kind": request.tab,
        "model": {
            "source": model.public_name,
            "commit": model.commit_hash,
            "weights_sha256": model.weights_sha256,
            "resolution": model.config.resolution,
        },
        "classes": [model.described(label) for label in dict.fromkeys(labels)],
        "seed": request.seed,
        **request.named("recipe"),
        "link": pinned.link(),
        "command": pinned.command(model.public_name),
        "python": pinned.python(model.public_name, labels),
        "versions": {
            "sngan_cond": sngan_cond.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "device": next(model.generator.parameters()).device.type,
    }
