"""`evaluate`: score a generator as an `Evaluation` says."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from sngan_cond.modes import eval_mode
from sngan_cond.networks.generator import Generator
from train.evaluation.checks import check
from train.evaluation.classes import score_classes
from train.evaluation.job import Evaluation
from train.evaluation.report import Report, check_finite, provenance, row_of_classes, rows_of_all
from train.evaluation.score import group_of, score
from train.evaluation.sets import rows_over_sets
from train.run.numerics import exact_float32


def evaluate(
    job: Evaluation, generator: Generator, *, model: str | None = None, work_dir: Path | None = None
) -> Report:
    """Score a generator. Every process of the evaluation must call; they share the images and classes out.

    Global random state, the generator's weights, running statistics and mode, and the data set stay as they are.

    Args:
        generator: is scored in eval mode, whatever its mode is.
        model: the generator's name in the report.
        work_dir: folder for finished classes, from which a stopped evaluation resumes; None for none.
    Returns:
        The report, the same on every process; of several sample sets, their means.
    Raises:
        EvaluationError: if the request does not fit generator, data set, extractor or classifier.
    """
    started = time.monotonic()
    check(job, generator)
    decided_by = provenance(job, generator, model)
    sets = []
    with eval_mode(generator), exact_float32():
        for seed in range(job.seed, job.seed + job.sample_sets):
            folder = work_dir if work_dir is None or job.sample_sets == 1 else work_dir / f"seed-{seed}"
            sets.append(_rows(replace(job, seed=seed, sample_sets=1), generator, model, folder))
    rows = rows_over_sets(sets)
    run = {
        "batch_size": job.batch_size,
        "processes": job.processes.count,
        "device": str(next(generator.parameters()).device),
        "seconds": round(time.monotonic() - started, 3),
    }
    return Report(rows, {**decided_by, **run})


def _rows(job: Evaluation, generator: Generator, model: str | None, work_dir: Path | None) -> list[dict[str, Any]]:
    """Return the rows of one sample set, the same on every process."""
    rows: list[dict[str, Any]] = []
    if over_all := job.over_all:
        found = score(job, group_of(job, generator, over_all), over_all)
        rows += rows_of_all(job, over_all, found) if found else []
    if by_class := [metric for metric in job.metrics if metric.by_class]:
        identity = {**provenance(job, generator, model), "metrics": [metric.key for metric in by_class]}
        results = score_classes(job, generator, by_class, work_dir, identity)
        rows += [row_of_classes(job, metric, results) for metric in by_class]
    rows = job.processes.from_main(rows)
    check_finite(rows)
    return rows
