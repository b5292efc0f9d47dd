"""How to make a result again: everything that decides what the pictures are, and two ways to say it."""

import platform
import shlex
from typing import Any
from urllib.parse import urlencode

import torch

import sngan_cond
from app.models import Model
from app.requests.base import AnyRequest, MixtureRequest, MorphRequest, SampleRequest
from sngan_cond.classes import class_label

FORMAT = 1


def recipe_for(model: Model, ask: AnyRequest, labels: list[list[int]]) -> dict[str, Any]:
    """Write down how to make pictures again.

    Args:
        model: that made them.
        ask: request.
        labels: of each picture, as `inputs_of` returns them.
    Returns:
        Values that JSON can hold.
    """
    distinct = list(dict.fromkeys(label for row in labels for label in row))
    return {
        "format": FORMAT,
        "kind": ask.tab,
        "model": {
            "source": model.source,
            "commit": model.commit_hash,
            "weights_sha256": model.weights_sha256,
            "resolution": model.config.resolution,
        },
        "classes": [_named(model, label) for label in distinct],
        "seed": ask.seed,
        **_own(ask),
        "truncation": ask.truncation,
        "link": link_for(model, ask, distinct),
        "command": command_for(model, ask, distinct),
        "python": python_for(model, ask, distinct),
        "versions": {
            "sngan_cond": sngan_cond.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "device": next(model.G.parameters()).device.type,
    }


def link_for(model: Model, ask: AnyRequest, distinct: list[int]) -> str:
    """Return the query of a link that makes the pictures again, with the commit and the labels written out."""
    query = ask.query() | {"model": [model.name], "revision": [model.commit_hash or ""]}
    indices = [str(label) for label in distinct]
    if isinstance(ask, MorphRequest):
        query |= {"from": indices[:1], "to": indices[-1:]}
    else:
        query["class"] = indices
    pairs = [(key, value) for key, values in query.items() for value in values if value]
    return "?" + urlencode(pairs)


def command_for(model: Model, ask: AnyRequest, distinct: list[int]) -> str | None:
    """Return the shell command that makes the pictures again; None where the command line has no word for it."""
    if isinstance(ask, MorphRequest):
        words = ["morph", "--model", model.source, "--from", str(distinct[0]), "--to", str(distinct[-1])]
        words += ["--steps", str(ask.steps)]
    elif isinstance(ask, SampleRequest):
        words = ["sample", "--model", model.source]
        for label in distinct:
            words += ["--class", str(label)]
        words += ["--n", str(ask.count)]
    else:
        return None
    words += ["--seed", str(ask.seed)]
    if ask.truncation is not None:
        words += ["--truncation", repr(ask.truncation)]
    return shlex.join(["sngan-cond", *words, "--out", "morph.gif" if isinstance(ask, MorphRequest) else "grid.png"])


def python_for(model: Model, ask: AnyRequest, distinct: list[int]) -> str:
    """Return Python that makes the pictures again, as `images` (N, 3, R, R) uint8."""
    if isinstance(ask, SampleRequest):
        verb = "sample"
        rows = f"n={ask.count}" if not distinct else f"classes=[c for c in {distinct} for _ in range({ask.count})]"
    elif isinstance(ask, MorphRequest):
        verb, rows = "morph", f"from_class={distinct[0]}, to_class={distinct[-1]}, steps={ask.steps}"
    elif isinstance(ask, MixtureRequest):
        weights = dict(zip(distinct, ask.weights, strict=True))
        verb, rows = "mixture", f"weights={weights}, n={ask.count}"
    else:
        in_class = f"in_class={distinct[0]}, " if distinct else ""
        verb, rows = "walk", f"{in_class}to_seed={ask.to_seed}, steps={ask.steps}"
    return "\n".join(
        [
            f"from sngan_cond import Generator, {verb}",
            f"G = Generator.from_pretrained({model.source!r})",
            f"images = {verb}(G, {rows}, seed={ask.seed}, truncation={ask.truncation})",
        ]
    )


def _own(ask: AnyRequest) -> dict[str, Any]:
    if isinstance(ask, SampleRequest):
        return {"pictures_of_each_class": ask.count}
    if isinstance(ask, MorphRequest):
        return {"steps": ask.steps}
    if isinstance(ask, MixtureRequest):
        return {"weights": list(ask.weights), "pictures": ask.count}
    return {"to_seed": ask.to_seed, "steps": ask.steps}


def _named(model: Model, label: int) -> dict[str, Any]:
    ids = model.config.class_ids
    return {
        "index": label,
        "name": class_label(model.config, label),
        "wordnet_id": None if ids is None else ids[label],
    }
