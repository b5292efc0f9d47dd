"""How to make a result again: everything that decides what the images are, as data, a link, a command and Python."""

import platform
from dataclasses import replace
from typing import Any

import torch

import sngan_cond
from app.models import Model
from app.requests.base import Request
from app.requests.origin import Label, classes_in

FORMAT = 1
SHOWN_DIGITS = 12  # of a sha256, in links


def shown_weights(model: Model) -> str:
    """Return what links say of the weights of a folder; empty for a repo, whose commit says it."""
    return (model.weights_sha256 or "")[:SHOWN_DIGITS]


def weights_differ(request: Request, model: Model) -> str | None:
    """Say that a link was made with other weights than the model has now, or None if it was not or does not say."""
    made, now = request.weights_sha256, shown_weights(model)
    if not made or not now or made == now:
        return None
    return f"this link was made with the weights {made} of {model.name}, which are {now} now: its images will differ"


def recipe_for(model: Model, request: Request, labels: list[Label]) -> dict[str, Any]:
    """Describe how to make the images of a request again.

    The commit stands for the branch, and labels for names, so that the link still works after either has changed; the
    link says the weights of a folder, which has no commit.

    Returns:
        What `recipe.json` holds.
    """
    pinned = replace(
        request.with_labels(model.generator, labels),
        model=model.name,
        revision=model.commit_hash or "",
        weights_sha256=shown_weights(model),
    )
    classes = (index for label in labels for index in classes_in(model.config, label))
    return {
        "format": FORMAT,
        "kind": request.tab,
        "model": {
            "source": model.public_name,
            "commit": model.commit_hash,
            "weights_sha256": model.weights_sha256,
            "resolution": model.config.resolution,
        },
        "classes": [model.described(label) for label in dict.fromkeys(classes)],
        **request.named("recipe"),
        "images": [
            {"latent": origin.latent, "class": origin.class_} for origin in request.origins(model.generator, labels)
        ],
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
