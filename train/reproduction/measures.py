"""What a finished run is measured by: the evaluator's scores, and numbers that only some figures ask for."""

import math
from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np
import pydantic
import torch
from torch import Tensor

from sngan_cond import Discriminator, Generator
from train.analysis.measure import decompose, load_discriminator, read_curves
from train.config import TrainConfig
from train.data.dataset import PreparedDataset
from train.errors import TrainError
from train.evaluation.job import open_evaluation
from train.evaluation.measure import evaluate
from train.evaluation.real_features import default_cache
from train.reproduction.gradients import gradient_norms, gradient_ratios
from train.reproduction.real_data import score_real_images
from train.reproduction.task import Task
from train.run.checkpoint import Checkpoint
from train.run.scalars import SCALARS_FILE
from train.sections import EvaluationConfig
from train.stored import STRICT
from train.trainer.samples import EARLY

# Metric of a table to the protocol's metric and, where it is another than the table's, its protocol.
SCORED = {
    "inception_score": ("class_score", None),
    "fid": ("frechet", None),
    "intra_fid": ("intra_frechet", "intra_class"),
    "ms_ssim": ("ms_ssim", "intra_class"),
}
GRADIENT_IMAGES = 64


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class Measured:
    """One measured number.

    Args:
        name: "inception_score" or "fid" only with the published extractor.
        protocol: of a score; for any other number, what was measured.
        extractor: of a score, else None.
        deviation: standard deviation over the splits of the images, of a score that has one.
    """

    name: str
    value: float
    protocol: str
    extractor: str | None = None
    deviation: float | None = None


def measure(run: Task) -> tuple[dict[str, list[Measured]], dict[str, str]]:
    """Measure what its row reports: of a run that was trained to its end, or of real images.

    Returns:
        Metric to its number, or two where a figure is about a range; and metric to the reason why there is none, or
        only one of two, as where a number is not finite.
    """
    measured: dict[str, list[Measured]] = {}
    reasons: dict[str, str] = {}
    # Scores under one protocol share their images; everything else is measured alone.
    groups = groupby(run.row.reported, key=lambda name: SCORED[name][1] if name in SCORED else name)
    waiting = [list(group) for _, group in groups]
    for group in waiting:
        try:
            measured |= _scores(run, group) if group[0] in SCORED else {group[0]: MEASURES[group[0]](run)}
        except TrainError as error:
            if len(group) == 1:
                reasons[group[0]] = str(error)
            else:  # one of them cannot be computed; alone, the others may be
                waiting += [[metric] for metric in group]
    for metric, found in measured.items():
        if lost := [f"{one.name} is {one.value}" for one in found if not math.isfinite(one.value)]:
            reasons[metric] = f"{', '.join(lost)}: no finite number"
            measured[metric] = [one for one in found if math.isfinite(one.value)]
    return measured, reasons


def _scores(run: Task, metrics: Sequence[str]) -> dict[str, list[Measured]]:
    scoring = run.scoring
    if scoring.extractor is None and metrics != ["ms_ssim"]:
        raise TrainError(scoring.missing)
    wanted = {SCORED[metric][0]: metric for metric in metrics}
    asked = EvaluationConfig(
        protocol=SCORED[metrics[0]][1] or run.table.paper.protocol,
        metrics=tuple(wanted),
        extractor=scoring.extractor or "",
        weights=scoring.weights,
        fakes=scoring.fakes,
        reals=scoring.reals,
    )
    job = open_evaluation(
        asked,
        PreparedDataset.open(run.data_path),
        device="cuda" if torch.cuda.is_available() else "cpu",
        weights_sha256=scoring.weights_sha256,
        seed=run.seed,
        cache=default_cache(),
    )
    if run.row.real:
        rows = score_real_images(job, run.validation_path)
    else:
        generator = Generator.from_pretrained(run.checkpoint.folder)
        rows = evaluate(job, generator if job.extractor is None else generator.to(job.extractor.device)).metrics
    return {
        wanted[row["metric"]]: [
            Measured(row["name"], float(row["value"]), str(row["protocol"]), str(row["extractor"]), row["std"])
        ]
        for row in rows
    }


def _seconds(run: Task) -> list[Measured]:
    rates, config = read_curves(run.run_dir / SCALARS_FILE)["images_per_second"], run.config
    images = config.d_updates_per_step * config.batch_total
    start, end = [0, *(seen // images for seen in rates.images_seen)][-2:]
    # Steps are logged before their grid and save, whose time is the next lines'.
    paused = any(s in EARLY or s % config.sample_every == 0 or s % config.save_every == 0 for s in range(start, end))
    last = f"{end - start} updates" if end - start > 1 else "update"
    what = f"at the rate of the last {last}, saves and sample grids {'included' if paused else 'apart'}"
    return [Measured("seconds_per_100_updates", 100 * images / rates.values[-1], f"{what}, this machine")]


def _spectral_norms(run: Task) -> list[Measured]:
    layers, _ = decompose(load_discriminator(run.config, run.checkpoint).double())
    norms = [norms.effective for name, norms in layers.items() if ".convs." in name]
    return _range("spectral_norms", norms, "exact, of D's convolutions at the end")


def _gradient_norms(run: Task) -> list[Measured]:
    D, x, y = gradient_inputs(run.config, run.checkpoint)
    return _range("gradient_norms", gradient_norms(D, x, y), f"of D's mean score on {len(x)} real images, at the end")


def _gradient_ratios(run: Task) -> list[Measured]:
    D, x, y = gradient_inputs(run.config, run.checkpoint)
    names = ("gradient_ratio_log_deviation", "gradient_ratio_log_correlation")
    what = f"of D's layers by pairs, {len(x)} real images, at the end"
    return [Measured(name, value, what) for name, value in zip(names, gradient_ratios(D, x, y), strict=True)]


def _loss_ranges(run: Task) -> list[Measured]:
    curves = read_curves(run.run_dir / SCALARS_FILE)
    losses = {net: np.array(curves[f"{net}/loss"].values, dtype=float) for net in "gd"}  # nan where none is logged
    late = {net: values[len(values) // 2 :] for net, values in losses.items()}
    if len(late["g"]) < 2:
        raise TrainError(f"{len(losses['g'])} logged losses: at least 3 are needed for a range in the second half")
    what = "largest minus smallest logged loss in the second half"
    return [Measured(f"loss_range_{net}", float(np.ptp(values)), what) for net, values in late.items()]


MEASURES: dict[str, Callable[[Task], list[Measured]]] = {
    "seconds_per_100_updates": _seconds,
    "spectral_norms": _spectral_norms,
    "gradient_norms": _gradient_norms,
    "gradient_ratios": _gradient_ratios,
    "loss_ranges": _loss_ranges,
}


def _range(name: str, values: list[float], what: str) -> list[Measured]:
    low, high = float(np.min(values)), float(np.max(values))  # nan where any value is
    return [Measured(f"{name}_min", low, what), Measured(f"{name}_max", high, what)]


def gradient_inputs(config: TrainConfig, checkpoint: Checkpoint) -> tuple[Discriminator, Tensor, Tensor | None]:
    """Return a checkpoint's D, and of its data GRADIENT_IMAGES images, (N, 3, R, R) in [-1, 1], and their labels."""
    dataset = PreparedDataset.open(config.data.path)
    x = torch.from_numpy(dataset.images[:GRADIENT_IMAGES].copy()).permute(0, 3, 1, 2).float() / 127.5 - 1
    y = torch.from_numpy(dataset.labels[:GRADIENT_IMAGES]) if config.num_classes else None
    return load_discriminator(config, checkpoint), x, y
