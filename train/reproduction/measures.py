"""What a finished run is measured by: the evaluator's scores, and numbers that only some figures ask for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sngan_cond import Generator
from train.analysis.measure import load_discriminator, measure_run
from train.config import EvaluationConfig, TrainConfig
from train.data.dataset import PreparedDataset
from train.errors import TrainError
from train.evaluation.job import open_evaluation
from train.evaluation.measure import evaluate
from train.evaluation.real_features import default_cache
from train.reproduction.gradients import gradient_norms, gradient_ratios
from train.run.checkpoint import Checkpoint, newest_checkpoint
from train.run.scalars import SCALARS_FILE, log_lines

# Metric of a table to the protocol's metric and, where it is another than the table's, its protocol.
SCORED = {"inception_score": ("class_score", None), "fid": ("frechet", None), "ms_ssim": ("ms_ssim", "intra_class")}
GRADIENT_IMAGES = 64


@dataclass(frozen=True)
class Measured:
    """One measured number.

    Args:
        name: "inception_score" or "fid" only with the published extractor.
        protocol: of a score; for any other number, what was measured.
        extractor: of a score, else None.
    """

    name: str
    value: float
    protocol: str
    extractor: str | None = None


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How runs are scored.

    Args:
        extractor: name of the feature extractor; None leaves scores out.
        weights: file of its weights; None looks in torch hub's cache and the installed package.
        weights_sha256: of that file, so that another file at the same place gives new scores.
        missing: why there is no extractor, where there is none.
        fakes: generated images; None takes the protocol's.
        reals: real images; None takes the protocol's.
    """

    extractor: str | None
    weights: str | None = None
    weights_sha256: str | None = None
    missing: str = ""
    fakes: int | None = None
    reals: int | None = None


def measure(
    run_dir: Path, config: TrainConfig, metrics: Sequence[str], *, protocol: str, scoring: Scoring
) -> tuple[dict[str, list[Measured]], dict[str, str]]:
    """Measure a finished run.

    Args:
        metrics: those of its table that its row reports.
        protocol: its table's.
    Returns:
        Metric to its number, or two where a figure is about a range; and metric to the reason why there is none.
    """
    measured: dict[str, list[Measured]] = {}
    reasons: dict[str, str] = {}
    scores = [metric for metric in metrics if metric in SCORED]
    together = len(scores) > 1 and len({SCORED[metric][1] for metric in scores}) == 1
    if together:
        try:
            measured |= _scores(run_dir, config, scores, protocol, scoring)
        except TrainError:
            together = False  # one of them cannot be computed; alone, the others may be
    for metric in metrics:
        try:
            if metric in SCORED and not together:
                measured |= _scores(run_dir, config, [metric], protocol, scoring)
            elif metric not in SCORED:
                measured[metric] = _own(run_dir, config, metric)
        except TrainError as error:
            reasons[metric] = str(error)
    return measured, reasons


def _own(run_dir: Path, config: TrainConfig, metric: str) -> list[Measured]:
    if metric == "seconds_per_100_updates":
        return [Measured(metric, _seconds_per_100(run_dir, config), "with saves and sample grids, this machine")]
    if metric == "spectral_norms":
        layers = measure_run(run_dir, "--run-dir").norms[-1].layers
        norms = [norms.effective for name, norms in layers.items() if ".convs." in name]
        return _range(metric, norms, "exact, of D's convolutions at the end")
    if metric == "gradient_ratios":
        x, y = real_images(config)
        deviation, correlation = gradient_ratios(load_discriminator(config, _checkpoint(run_dir)), x, y)
        what = f"of D's layers by pairs, {len(x)} real images, at the end"
        return [
            Measured("gradient_ratio_log_deviation", deviation, what),
            Measured("gradient_ratio_log_correlation", correlation, what),
        ]
    assert metric == "gradient_norms", metric
    x, y = real_images(config)
    norms = gradient_norms(load_discriminator(config, _checkpoint(run_dir)), x, y)
    return _range(metric, norms, f"of D's mean score on {len(x)} real images, at the end")


def _range(name: str, values: list[float], what: str) -> list[Measured]:
    return [Measured(f"{name}_min", min(values), what), Measured(f"{name}_max", max(values), what)]


def _checkpoint(run_dir: Path) -> Checkpoint:
    checkpoint = newest_checkpoint(run_dir / "checkpoints", print)
    if checkpoint is None:
        raise TrainError(f"{run_dir}: no whole checkpoint there")
    return checkpoint


def _scores(
    run_dir: Path, config: TrainConfig, metrics: Sequence[str], protocol: str, scoring: Scoring
) -> dict[str, list[Measured]]:
    wanted = {SCORED[metric][0]: metric for metric in metrics}
    own_protocol = SCORED[metrics[0]][1]
    if scoring.extractor is None and set(wanted) != {"ms_ssim"}:
        raise TrainError(scoring.missing)
    asked = EvaluationConfig(
        protocol=own_protocol or protocol,
        metrics=tuple(wanted),
        extractor=scoring.extractor or "",
        weights=scoring.weights,
        fakes=scoring.fakes,
        reals=scoring.reals,
    )
    job = open_evaluation(
        asked,
        PreparedDataset.open(config.data.path),
        device="cuda" if torch.cuda.is_available() else "cpu",
        weights_sha256=scoring.weights_sha256,
        seed=config.seed,
        cache=default_cache(),
    )
    generator = Generator.from_pretrained(_checkpoint(run_dir).folder)
    report = evaluate(job, generator if job.extractor is None else generator.to(job.extractor.device))
    return {
        wanted[row["metric"]]: [Measured(row["name"], float(row["value"]), str(row["protocol"]), str(row["extractor"]))]
        for row in report.metrics
    }


def _seconds_per_100(run_dir: Path, config: TrainConfig) -> float:
    logged = (values or {} for _, values in log_lines(run_dir / SCALARS_FILE))
    rate = [values["images_per_second"] for values in logged if "images_per_second" in values][-1]  # others hold scores
    return 100 * config.d_updates_per_step * config.batch_total / float(rate)


def real_images(config: TrainConfig) -> tuple[Tensor, Tensor | None]:
    """Return the first GRADIENT_IMAGES images of a run's data set, (N, 3, R, R) in [-1, 1], and their labels."""
    dataset = PreparedDataset.open(config.data.path)
    x = torch.from_numpy(dataset.images[:GRADIENT_IMAGES].copy()).permute(0, 3, 1, 2).float() / 127.5 - 1
    return x, torch.from_numpy(dataset.labels[:GRADIENT_IMAGES]) if config.num_classes else None


def mean_and_error(values: list[float]) -> tuple[float, float | None]:
    """Return the mean over runs and its standard error, None for a single run."""
    mean = sum(values) / len(values)
    if len(values) < 2:
        return mean, None
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, math.sqrt(variance / len(values))
