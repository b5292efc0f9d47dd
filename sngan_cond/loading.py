"""A generator with everything that its folder or repo says about it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sngan_cond.hub.download import locate
from sngan_cond.hub.files import (
    CARD_FILE,
    METRICS_FILE,
    SAMPLES_FILE,
    TRAINING_FILE,
    ModelFiles,
    PretrainedError,
)
from sngan_cond.networks.generator import Generator
from sngan_cond.stored import MAX_TEXT_BYTES, read_json


@dataclass(frozen=True)
class LoadedModel:
    """A generator and what its folder or repo says about it.

    Args:
        generator: in eval mode.
        files: as `locate` found them.
        metrics: content of `metrics.json`, None where there is none.
        training: content of `training.json`, None where there is none.
        card: text of `README.md`, None where there is none.
    """

    generator: Generator
    files: ModelFiles
    metrics: dict[str, Any] | None
    training: dict[str, Any] | None
    card: str | None

    @property
    def source(self) -> str:
        """What the user asked for, as they wrote it."""
        return self.files.source

    @property
    def commit_hash(self) -> str | None:
        """Full hash of the commit that was loaded; None for a folder."""
        return self.files.commit_hash

    @property
    def step(self) -> int | None:
        """Training steps behind the generator, None where that is not known."""
        step = (self.training or {}).get("step")
        return step if isinstance(step, int) else None

    @property
    def samples(self) -> Path | None:
        """The PNG of samples, None where there is none."""
        path = self.files.folder / SAMPLES_FILE
        return path if path.is_file() else None


def load_generator(
    model: str | Path,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> LoadedModel:
    """Load a generator together with its metrics, training record and card.

    Args:
        model: "user/name", "user/name@revision", a folder, or "bundled" for the model inside this package.
        revision: branch, tag or full commit hash; None takes "main".
        token: for the Hub; None takes the login's, or HF_TOKEN.
        cache_dir: of the Hub's client; None takes its own.
        local_files_only: do not use the network.
    Returns:
        The model; `commit_hash` is that of the commit in use.
    Raises:
        PretrainedError: a ValueError that says what is missing, unknown, damaged or refused, and what to do.
    """
    files = locate(
        model,
        revision=revision,
        token=token,
        cache_dir=cache_dir,
        local_files_only=local_files_only,
        extras=(METRICS_FILE, TRAINING_FILE, CARD_FILE, SAMPLES_FILE),
    )
    return LoadedModel(
        Generator.from_files(files),
        files,
        metrics=_optional(files.folder / METRICS_FILE),
        training=_optional(files.folder / TRAINING_FILE),
        card=_text(files.folder / CARD_FILE),
    )


def _optional(path: Path) -> dict[str, Any] | None:
    return read_json(path, error=PretrainedError) if path.is_file() else None


def _text(path: Path) -> str | None:
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > MAX_TEXT_BYTES:
            raise PretrainedError(f"{path}: a card of at most {MAX_TEXT_BYTES:,} bytes is read")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PretrainedError(f"{path}: cannot be read ({error})") from error
