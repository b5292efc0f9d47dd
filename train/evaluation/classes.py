"""Scores within each class, one class after another; an evaluation that was stopped resumes at its first open class."""

import contextlib
import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pydantic

from sngan_cond.networks.generator import Generator
from train.errors import EvaluationError
from train.evaluation.features import progress_bar
from train.evaluation.job import Evaluation
from train.evaluation.metrics import Metric
from train.evaluation.score import group_of, score
from train.files import write_text_atomically
from train.stored import STRICT, read_as


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class ClassResult:
    """Scores of one class.

    Args:
        fakes: number of generated images.
        reals: number of real images compared with; 0 if no metric compares.
        values: metric to value.
        stds: metric to standard deviation over pairs, where there is one.
    """

    label: int
    name: str
    fakes: int
    reals: int
    values: dict[str, float]
    stds: dict[str, float]


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class FinishedClass:
    """Content of a finished class's file.

    Args:
        identity: digest of everything that decides the scores; under another identity the class is scored again.
    """

    identity: str
    result: ClassResult


def score_classes(
    job: Evaluation, generator: Generator, metrics: Sequence[Metric], work_dir: Path | None, decided_by: dict[str, Any]
) -> list[ClassResult]:
    """Score every class; process r of W scores classes r, r + W, ..., and all return all results, in label order.

    Args:
        work_dir: keeps finished classes until the whole is done; None keeps nothing.
        decided_by: everything that decides the scores.
    Raises:
        EvaluationError: if a class cannot be scored, on any process.
    """
    identity = hashlib.sha256(json.dumps(decided_by, sort_keys=True).encode()).hexdigest()
    processes = job.processes
    own = range(processes.rank, generator.config.num_classes, processes.count)
    results = []
    shown = job.progress and processes.is_main
    with processes.fail_together(), progress_bar("classes", len(own), shown=shown, unit="classes") as bar:
        for label in own:
            path = None if work_dir is None else work_dir / f"class-{label:05d}.json"
            result = None if path is None else _load(path, identity)
            if result is None:
                result = _score_class(job, generator, metrics, label)
                if path is not None:
                    _save(path, FinishedClass(identity, result))
            results.append(result)
            bar.update()
    return sorted(processes.gather_list(results), key=lambda result: result.label)


def _score_class(job: Evaluation, generator: Generator, metrics: Sequence[Metric], label: int) -> ClassResult:
    group = group_of(job, generator, metrics, label)
    try:
        found = score(job, group, metrics)
    except EvaluationError as error:
        raise EvaluationError(f"class {label}: {error}") from error
    values = {key: value for key, (((value, _),), _) in found.items()}
    stds = {key: std for key, (((_, std),), _) in found.items() if std is not None}
    reals = job.reals(label) if any(metric.compares for metric in metrics) else 0
    return ClassResult(label, job.dataset.class_names[label], group.stream.count, reals, values, stds)


def _load(path: Path, identity: str) -> ClassResult | None:
    """Return a finished class; None if there is none, its file is damaged, or it belongs to another evaluation."""
    try:
        found = read_as(FinishedClass, path, error=EvaluationError)
    except EvaluationError:
        return None
    return found.result if found.identity == identity else None


def _save(path: Path, finished: FinishedClass) -> None:
    try:
        write_text_atomically(path, json.dumps(asdict(finished)) + "\n")
    except OSError as error:  # the scores are in memory; only a stop would lose them
        warnings.warn(f"{path}: a finished class cannot be kept ({error.strerror})", stacklevel=2)


def remove_class_files(folder: Path) -> None:
    """Remove the files of finished classes and their folders, once the whole result is written."""
    for path in (*folder.rglob("class-*.json"), *folder.rglob(".class-*.json.*")):  # the latter of killed processes
        path.unlink()
    for path in (*sorted(folder.rglob("*"), reverse=True), folder):
        with contextlib.suppress(OSError):  # it may never have been made, or be or hold files of somebody else's
            path.rmdir()
