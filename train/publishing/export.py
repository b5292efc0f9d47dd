"""A checkpoint turned into the folder that goes to the Hub: links to its weights, training facts, metrics, card."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from sngan_cond import Generator
from sngan_cond.atomic import atomic_folder
from sngan_cond.hub.files import (
    CARD_FILE,
    CONFIG_FILE,
    DISCRIMINATOR_FILE,
    METRICS_FILE,
    SAMPLES_FILE,
    TRAINING_FILE,
    WEIGHTS_FILE,
    ModelFiles,
)
from sngan_cond.hub.weights import read_config
from sngan_cond.images import save_png, to_grid
from sngan_cond.sampling import generate
from sngan_cond.stored import read_json
from train.config import TrainConfig
from train.errors import TrainError
from train.files import sha256
from train.grids import grid_inputs
from train.publishing.cards import Facts, flat, render_card
from train.run.checkpoint import STATE_FILE, state_of
from train.run.provenance import without_folders
from train.sections import NotNegative, Positive
from train.stored import check_as


class _GridConfig(BaseModel):
    """Of a run's configuration, what decides its sample grids."""

    model_config = ConfigDict(strict=True, extra="ignore")
    seed: NotNegative = TrainConfig.seed
    samples_per_class: Positive = TrainConfig.samples_per_class


def export_checkpoint(
    checkpoint: Path, target: Path, *, run_dir: Path, metrics: Path | None = None, with_discriminator: bool = False
) -> None:
    """Collect what a publication needs, so that the checkpoint may be removed at any time after.

    Weights are linked, not copied, where the file system can.

    Args:
        checkpoint: folder of a whole checkpoint.
        target: folder to make; it appears whole.
        run_dir: for the step's samples; where it has none, they are drawn from the checkpoint, on the CPU.
        metrics: a metrics.json of these very weights; None takes the checkpoint's, if it has one.
        with_discriminator: also take the discriminator.
    Raises:
        TrainError: if the checkpoint lacks a file, or the disk refuses.
    """
    state = state_of(checkpoint)
    try:
        with atomic_folder(target) as draft:
            for name in (CONFIG_FILE, WEIGHTS_FILE, *([DISCRIMINATOR_FILE] if with_discriminator else [])):
                _link(checkpoint / name, draft / name)
                state.check_file(checkpoint / name, sha256(draft / name))
            training = read_json(checkpoint / TRAINING_FILE, error=TrainError)
            _write(draft / TRAINING_FILE, _data(training) | training)
            if metrics is not None or (checkpoint / METRICS_FILE).exists():
                _write(draft / METRICS_FILE, read_json(metrics or checkpoint / METRICS_FILE, error=TrainError))
            grid = run_dir / "samples" / f"step-{state.step:08d}.png"
            if grid.is_file():
                _link(grid, draft / SAMPLES_FILE)
            else:
                _draw_samples(checkpoint, state.config, draft / SAMPLES_FILE)
            shutil.rmtree(target, ignore_errors=True)  # an earlier export of this step
    except OSError as error:
        raise TrainError(
            f"{checkpoint}: cannot be prepared for the Hub ({error.strerror}: {error.filename})"
        ) from error


def write_card(folder: Path, *, repo: str, facts: Facts) -> None:
    """Write the card into a folder that `export_checkpoint` made, as `render_card` renders it.

    Raises:
        PretrainedError: if its config or metrics are not what they should be.
    """
    files = ModelFiles(str(folder), folder)
    card = render_card(
        read_config(folder / CONFIG_FILE, str(folder / CONFIG_FILE)),
        repo=repo,
        facts=facts,
        training=files.training,
        metrics=files.metrics,
        samples=files.samples is not None,
    )
    (folder / CARD_FILE).write_text(card, encoding="utf-8")


def commit_message(folder: Path, step: int) -> tuple[str, str]:
    """Return the title of a step's commit, and the line below it that tells it from the same step of another run."""
    return f"Step {step}", f"{WEIGHTS_FILE} sha256 {sha256(folder / WEIGHTS_FILE)}"


def _write(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(without_folders(values), indent=2) + "\n", encoding="utf-8")


def _data(training: Mapping[str, Any]) -> dict[str, Any]:
    """Say what a run of an earlier version was trained on, where the prepared data set is still there."""
    if "data" in training:
        return {}
    run = flat(training)
    path = Path(str(run.get("config.data.path", "")), "dataset.json")
    if not path.is_file():
        return {}
    info = read_json(path, error=TrainError)
    keys = ("source", "split", "resolution", "count", "preparation", "sha256")
    held_out = {"held_out": run["config.data.held_out"]} if run.get("config.data.held_out") else {}
    return {"data": {key: info[key] for key in keys if info.get(key) is not None} | held_out}


def _draw_samples(checkpoint: Path, config: Mapping[str, Any], target: Path) -> None:
    """Draw the grid that the run would have drawn at this step."""
    run = check_as(_GridConfig, config, name=f"{checkpoint / STATE_FILE}: config")
    G = Generator.from_pretrained(checkpoint)
    z, y = grid_inputs(G.config, seed=run.seed, columns=run.samples_per_class)
    save_png(to_grid(torch.cat(list(generate(G, z, y))), columns=run.samples_per_class), target)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
