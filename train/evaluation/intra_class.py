"""Scores within each class, one class after another; an evaluation that was stopped resumes at its first open class."""

import contextlib
import hashlib
import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from train.errors import EvaluationError
from train.evaluation.distributed import Processes
from train.evaluation.features import Observer, extract, progress_bar, watch
from train.evaluation.job import Job
from train.evaluation.protocols import DIVERSITY, INTRA_FRECHET, MS_SSIM
from train.evaluation.real_features import reference_features
from train.evaluation.scores import diversity, frechet, ms_ssim
from train.evaluation.streams import FakeStream
from train.files import write_text_atomically


@dataclass(frozen=True)
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


@dataclass(frozen=True, kw_only=True)
class ClassWork:
    """The scores within classes that an evaluation asks for.

    Args:
        job: with a generator and a data set of the same classes.
        metrics: of CLASS_METRICS.
        work_dir: keeps finished classes until the whole is done; None keeps nothing.
        identity: everything that decides the scores; a class finished under another identity is scored again.
    """

    job: Job
    metrics: tuple[str, ...]
    work_dir: Path | None
    identity: dict[str, Any]

    def run(self, processes: Processes) -> list[ClassResult]:
        """Score every class; process r of W scores classes r, r + W, ..., and all return the whole list.

        Returns:
            One result a class, in label order.
        Raises:
            EvaluationError: if a class cannot be scored, on any process.
        """
        own = range(processes.rank, self.job.generator.config.num_classes, processes.count)
        results = []
        shown = self.job.progress and processes.is_main
        with processes.fail_together(), progress_bar("classes", len(own), shown=shown, unit="classes") as bar:
            for label in own:
                result = self._load(label)
                if result is None:
                    try:
                        result = self._score(label)
                    except EvaluationError as error:
                        raise EvaluationError(f"class {label}: {error}") from error
                    self._save(result)
                results.append(result)
                bar.update()
        return sorted(processes.gather_list(results), key=lambda result: result.label)

    def _score(self, label: int) -> ClassResult:
        job = self.job
        pairs = job.protocol.pairs_per_class if MS_SSIM in self.metrics else 0
        needs_features = any(metric in self.metrics for metric in (INTRA_FRECHET, DIVERSITY))
        count = job.protocol.fakes_per_class if needs_features else 2 * pairs
        labels = torch.full((count,), label)
        stream = FakeStream(
            job.generator, labels, count, seed=job.seed, part=f"class {label}", truncation=job.truncation
        )
        first: list[Tensor] = []
        observers = [_keep_first(first, 2 * pairs)] if pairs else []
        values: dict[str, float] = {}
        stds: dict[str, float] = {}
        reals = 0
        if needs_features:
            reals = self._score_features(stream, observers, label, values)
        else:
            watch(stream, observers, batch_size=job.batch_size, processes=Processes(), progress=False)
        if pairs:
            images = torch.cat(first)
            similarity = ms_ssim(images[:pairs], images[pairs:])
            values[MS_SSIM], stds[MS_SSIM] = float(similarity.mean()), float(similarity.std())
        return ClassResult(label, job.dataset.class_names[label], count, reals, values, stds)

    def _score_features(
        self, stream: FakeStream, observers: list[Observer], label: int, values: dict[str, float]
    ) -> int:
        """Add the scores of one class's features to `values`; returns the number of real images compared with."""
        job, alone = self.job, Processes()  # processes share out classes here, not the images of one
        assert job.extractor is not None
        layers = extract(
            job.extractor, stream, batch_size=job.batch_size, processes=alone, observers=observers, progress=False
        )
        features, reals = layers[job.extractor.layer], 0
        if INTRA_FRECHET in self.metrics:
            reference = reference_features(
                job.dataset,
                job.extractor,
                job.protocol.reals_per_class or len(job.dataset),
                label=label,
                cache=job.cache,
                batch_size=job.batch_size,
                processes=alone,
                progress=False,
            )
            assert reference is not None
            reals = len(reference.features)
            values[INTRA_FRECHET] = frechet(features, reference.moments)
        if DIVERSITY in self.metrics:
            values[DIVERSITY] = diversity(features)
        return reals

    def _path(self, label: int) -> Path | None:
        return None if self.work_dir is None else self.work_dir / f"class-{label:05d}.json"

    def _load(self, label: int) -> ClassResult | None:
        path = self._path(label)
        if path is None:
            return None
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            return ClassResult(**saved["result"]) if saved["identity"] == self._digest() else None
        except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError):
            return None

    def _save(self, result: ClassResult) -> None:
        path = self._path(result.label)
        if path is None:
            return
        text = json.dumps({"identity": self._digest(), "result": asdict(result)}) + "\n"
        try:
            write_text_atomically(path, text)
        except OSError as error:  # the scores are in memory; only a stop would lose them
            warnings.warn(f"{path}: a finished class cannot be kept ({error.strerror})", stacklevel=2)

    def _digest(self) -> str:
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()


def remove_class_files(work_dir: Path) -> None:
    """Remove the files of finished classes, once the whole result is written."""
    for path in (*work_dir.glob("class-*.json"), *work_dir.glob(".class-*.json.*")):  # the latter of killed processes
        path.unlink()
    with contextlib.suppress(OSError):  # it may never have been made, or hold files of somebody else's
        work_dir.rmdir()


def _keep_first(kept: list[Tensor], count: int) -> Observer:
    """Return an observer that copies the first images of a stream."""

    def observe(images: Tensor, start: int) -> None:
        if start < count:
            kept.append(images[: count - start].cpu())

    return observe
