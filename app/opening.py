"""Opening one model: what is known about it, and what visitors may be told when it fails."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from app.limits import LIMITS, AskError
from sngan_cond import Generator, GeneratorConfig
from sngan_cond.download import locate
from sngan_cond.loading import load_generator
from sngan_cond.sources import CARD_FILE, METRICS_FILE, TRAINING_FILE, WEIGHTS_FILE

_FOLDERS = re.compile(r"(?<![\w:/.])(?:/[^\s/'\",;:()]+)+/")  # the way to a file, but not an address' path


@dataclass(frozen=True, eq=False)
class Model:
    """An open model and what is known about it.

    Args:
        name: what visitors call it; never a path of this machine.
        revision: that was asked for, or empty.
        G: the generator.
        commit_hash: of the Hub repo, None for a folder.
        weights_sha256: of the weights' file, None where the commit says as much.
        metrics: content of its `metrics.json`, empty if it has none.
        training: content of its `training.json`, likewise.
        card: its README, likewise.
        source: what `sngan-cond sample --model` takes to open it again.
    """

    name: str
    revision: str
    G: Generator
    commit_hash: str | None
    weights_sha256: str | None
    metrics: dict[str, Any]
    training: dict[str, Any]
    card: str
    source: str

    @property
    def config(self) -> GeneratorConfig:
        """The generator's configuration."""
        return self.G.config


def read_model(source: str, *, name: str, revision: str, given: str, device: torch.device) -> Model:
    """Find and load a model.

    Args:
        source: folder, "bundled" or "user/name@revision".
        name: what visitors call it.
        revision: that was asked for, or empty.
        given: what the operator called it, which visitors are not told.
        device: where the generator goes.
    Raises:
        AskError: if it cannot be had, is damaged, or too large; the message has no path of this machine.
    """
    try:
        extras = (CARD_FILE, METRICS_FILE, TRAINING_FILE)
        files = locate(source, extras=extras, max_weights_bytes=LIMITS.model_bytes)
        loaded = load_generator(files.folder if files.repo is None else f"{files.repo}@{files.commit_hash}")
    except ValueError as error:
        raise AskError(_for_visitors(error, given, name)) from error
    return Model(
        name=name,
        revision=revision,
        G=loaded.generator.to(device),
        commit_hash=files.commit_hash,
        weights_sha256=_sha256(files.folder / WEIGHTS_FILE) if files.commit_hash is None else None,
        metrics=loaded.metrics or {},
        training=loaded.training or {},
        card=loaded.card or "",
        source=name if files.repo is None else f"{files.repo}@{files.commit_hash}",
    )


def _for_visitors(error: ValueError, source: str, name: str) -> str:
    """Return an error's message without paths of this machine."""
    return _FOLDERS.sub("", str(error).replace(source, name))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
