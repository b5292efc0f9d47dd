"""A generator with everything that its folder or repo says about it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sngan_cond.hub.download import locate
from sngan_cond.hub.files import CARD_FILE, METRICS_FILE, SAMPLES_FILE, TRAINING_FILE, ModelFiles, PretrainedError
from sngan_cond.networks.generator import Generator
from sngan_cond.stored import MAX_TEXT_BYTES, read_json, read_text


@dataclass(frozen=True, kw_only=True)
class LoadedModel(ModelFiles):
    """A generator and what its files say about it; all are read at once, for a folder may change later.

    Args:
        generator: in eval mode.
        metrics: content of `metrics.json`, None where there is none.
        training: content of `training.json`, None where there is none.
        card: text of `README.md`, None where there is none.
    """

    generator: Generator
    metrics: dict[str, Any] | None
    training: dict[str, Any] | None
    card: str | None

    @property
    def step(self) -> int | None:
        """Training steps behind the generator, None where that is not known."""
        step = (self.training or {}).get("step")
        return step if isinstance(step, int) else None

    @property
    def samples(self) -> Path | None:
        """The PNG of samples, None where there is none."""
        path = self.folder / SAMPLES_FILE
        return path if path.is_file() else None


def load_generator(model: str | Path, **options: Any) -> LoadedModel:
    """Load a generator together with its metrics, training record and card.

    Args:
        model: as for `locate`.
        options: all others of `locate` but `extras`.
    Returns:
        The model; `commit_hash` is that of the commit in use.
    Raises:
        PretrainedError: a ValueError that says what is missing, unknown, damaged or refused, and what to do.
    """
    files = locate(model, extras=(METRICS_FILE, TRAINING_FILE, CARD_FILE, SAMPLES_FILE), **options)
    metrics, training, card = (files.folder / name for name in (METRICS_FILE, TRAINING_FILE, CARD_FILE))
    return LoadedModel(
        **vars(files),
        generator=Generator.from_files(files),
        metrics=read_json(metrics, error=PretrainedError) if metrics.is_file() else None,
        training=read_json(training, error=PretrainedError) if training.is_file() else None,
        card=read_text(card, "text", error=PretrainedError, limit=MAX_TEXT_BYTES) if card.is_file() else None,
    )
