"""How to make a result again: everything that decides what the images are, as data, a link, a command and Python."""

import platform
import shlex
from dataclasses import replace
from typing import Any

import torch

import sngan_cond
from app.models import Model
from app.requests.links import AnyRequest, link_to
from sngan_cond.classes import class_label

FORMAT = 1


def recipe_for(model: Model, request: AnyRequest, labels: list[list[int]]) -> dict[str, Any]:
    """Describe how to make the images of a request again.

    Args:
        labels: of each image, as `Request.inputs` returns them.
    Returns:
        What `recipe.json` holds.
    """
    distinct = list(dict.fromkeys(label for row in labels for label in row))
    return {
        "format": FORMAT,
        "kind": request.tab,
        "model": {
            "source": model.source,
            "commit": model.commit_hash,
            "weights_sha256": model.weights_sha256,
            "resolution": model.config.resolution,
        },
        "classes": [_described(model, label) for label in distinct],
        "seed": request.seed,
        **request.settings(),
        "truncation": request.truncation,
        "link": link_for(model, request, distinct),
        "command": command_for(model, request, distinct),
        "python": python_for(model, request, distinct),
        "versions": {
            "sngan_cond": sngan_cond.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "device": next(model.G.parameters()).device.type,
    }


def link_for(model: Model, request: AnyRequest, distinct: list[int]) -> str:
    """Return a link that makes the images again.

    The commit stands for the branch, and labels for names, so that it still works after either has changed.
    """
    pinned = replace(request.with_labels(distinct), model=model.name, revision=model.commit_hash or "")
    return link_to(pinned)


def command_for(model: Model, request: AnyRequest, distinct: list[int]) -> str | None:
    """Return the shell command that makes the images again; None where the command line has none."""
    options = request.command_options(distinct)
    if options is None:
        return None
    words = ["sngan-cond", request.tab, "--model", model.source, *options, "--seed", str(request.seed)]
    if request.truncation is not None:
        words += ["--truncation", repr(request.truncation)]
    return shlex.join([*words, "--out", f"{request.tab}.gif" if request.moves else "grid.png"])


def python_for(model: Model, request: AnyRequest, distinct: list[int]) -> str:
    """Return Python that makes the images again, as `images` (N, 3, R, R) uint8."""
    arguments = f"{request.python_arguments(distinct)}, seed={request.seed}, truncation={request.truncation}"
    return "\n".join(
        [
            f"from sngan_cond import Generator, {request.tab}",
            f"G = Generator.from_pretrained({model.source!r})",
            f"images = {request.tab}(G, {arguments})",
        ]
    )


def _described(model: Model, label: int) -> dict[str, Any]:
    ids = model.config.class_ids
    return {
        "index": label,
        "name": class_label(model.config, label),
        "wordnet_id": None if ids is None else ids[label],
    }
