"""A checkpoint turned into the folder that goes to the Hub: links to its weights, training facts, metrics, card."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sngan_cond.hub.files import (
    CARD_FILE,
    CONFIG_FILE,
    DISCRIMINATOR_FILE,
    METRICS_FILE,
    SAMPLES_FILE,
    TRAINING_FILE,
    WEIGHTS_FILE,
)
from sngan_cond.hub.weights import read_config
from sngan_cond.stored import read_json
from train.errors import TrainError
from train.files import sha256
from train.publishing.cards import Facts, render_card
from train.run.checkpoint import STATE_FILE
from train.run.provenance import without_folders

_STATE_KEYS = ("step", "images_seen", "seconds")


def export_checkpoint(
    checkpoint: Path, target: Path, *, run_dir: Path, metrics: Path | None = None, with_discriminator: bool = False
) -> None:
    """Collect what a publication needs, so that the checkpoint may be removed at any time after.

    Weights are linked, not copied, where the file system can.

    Args:
        checkpoint: folder of a whole checkpoint.
        target: folder to make; it appears whole.
        run_dir: for the samples.
        metrics: a metrics.json of these very weights; None takes the checkpoint's, if it has one.
        with_discriminator: also take the discriminator.
    Raises:
        TrainError: if the checkpoint lacks a file, or the disk refuses.
    """
    state = read_json(checkpoint / STATE_FILE, error=TrainError)
    if not isinstance(state.get("files"), dict) or not isinstance(state.get("step"), int):
        raise TrainError(f"{checkpoint / STATE_FILE}: damaged, it names no step or no files")
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for name in (CONFIG_FILE, WEIGHTS_FILE, *([DISCRIMINATOR_FILE] if with_discriminator else [])):
            _link(checkpoint / name, partial / name)
            if sha256(partial / name) != state["files"].get(name):
                raise TrainError(f"{checkpoint / name}: damaged, its sha256 is not the one that {STATE_FILE} says")
        training = {**_training(checkpoint, state), **_data(state)}
        (partial / TRAINING_FILE).write_text(json.dumps(without_folders(training), indent=2) + "\n")
        source = metrics or checkpoint / METRICS_FILE
        if metrics is not None or source.exists():
            (partial / METRICS_FILE).write_text(
                json.dumps(without_folders(read_json(source, error=TrainError)), indent=2) + "\n"
            )
        if (grid := _samples(run_dir, state["step"])) is not None:
            _link(grid, partial / SAMPLES_FILE)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    except OSError as error:
        raise TrainError(
            f"{checkpoint}: cannot be prepared for the Hub ({error.strerror}: {error.filename})"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_card(folder: Path, *, repo: str, facts: Facts) -> None:
    """Write the card of an exported checkpoint.

    Args:
        folder: made by `export_checkpoint`.
        repo: "user/name", for the snippets.
    Raises:
        PretrainedError: if its config or metrics are not what they should be.
    """
    has_metrics = (folder / METRICS_FILE).exists()
    card = render_card(
        read_config(folder / CONFIG_FILE, str(folder / CONFIG_FILE)),
        repo=repo,
        facts=facts,
        training=read_json(folder / TRAINING_FILE, error=TrainError),
        metrics=read_json(folder / METRICS_FILE, error=TrainError) if has_metrics else None,
        samples=(folder / SAMPLES_FILE).exists(),
    )
    (folder / CARD_FILE).write_text(card, encoding="utf-8")


def commit_title(step: int) -> str:
    """Return the title of a step's commit."""
    return f"Step {step}"


def commit_marker(folder: Path) -> str:
    """Return what tells a step's commit from the same step of another run.

    Args:
        folder: made by `export_checkpoint`.
    """
    return f"{WEIGHTS_FILE} sha256 {sha256(folder / WEIGHTS_FILE)}"


def _training(checkpoint: Path, state: Mapping[str, Any]) -> dict[str, Any]:
    if (checkpoint / TRAINING_FILE).exists():
        return read_json(checkpoint / TRAINING_FILE, error=TrainError)
    return {**{key: state[key] for key in _STATE_KEYS if key in state}, "config": state.get("config", {})}


def _data(state: Mapping[str, Any]) -> dict[str, Any]:
    """Say what the run was trained on, where the prepared data set is still there."""
    path = Path(state.get("config", {}).get("data", {}).get("path", "")) / "dataset.json"
    if not path.is_file():
        return {}
    info = read_json(path, error=TrainError)
    keys = ("source", "split", "resolution", "count", "preparation", "sha256")
    return {"data": {key: info[key] for key in keys if info.get(key) is not None}}


def _samples(run_dir: Path, step: int) -> Path | None:
    grids = sorted((run_dir / "samples").glob("step-*.png"))
    until = [path for path in grids if path.stem <= f"step-{step:08d}"]
    return until[-1] if until else None


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
