"""Scores within a class, one class after another, so that a run that was stopped goes on at the class."""

import contextlib
import hashlib
import json
import os
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sngan_cond.networks.generator import Generator
from train.data.dataset import PreparedDataset
from train.errors import EvaluationError
from train.evaluation.distributed import Processes
from train.evaluation.extractors import Extractor
from train.evaluation.features import Observer, extract, progress_bar, watch
from train.evaluation.protocols import DIVERSITY, INTRA_FRECHET, MS_SSIM, Protocol
from train.evaluation.real_features import real_side
from train.evaluation.scores import diversity, frechet, ms_ssim
from train.evaluation.streams import FakeStream


@dataclass(frozen=True)
class ClassResult:
    """Scores of one class.

    Args:
        label: of the class.
        name: of the class.
        fakes: images generated.
        reals: real images compared with; 0 if none were asked for.
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
    """Everything that decides the scores within classes.

    Args:
        generator: in eval mode, with classes.
        dataset: of the real side and of the class names.
        protocol: counts.
        metrics: of CLASS_METRICS.
        extractor: of features; None if only MS-SSIM is asked for.
        seed: of the evaluation.
        truncation: of the latents.
        batch_size: images at once.
        cache: folder of kept features of real images, or None.
        work_dir: where finished classes are kept until the whole is done, or None.
        identity: what names this evaluation; a class finished under another identity is done again.
        progress: show a bar.
    """

    generator: Generator
    dataset: PreparedDataset
    protocol: Protocol
    metrics: tuple[str, ...]
    extractor: Extractor | None
    seed: int
    truncation: float | None
    batch_size: int
    cache: Path | None
    work_dir: Path | None
    identity: dict[str, Any]
    progress: bool = True

    def run(self, processes: Processes) -> list[ClassResult]:
        """Score every class; process r takes classes r, r + W, ..., and all get the whole list.

        Args:
            processes: that take part.
        Returns:
            One result a class, in label order.
        Raises:
            EvaluationError: if a class cannot be scored, on any process.
        """
        own = range(processes.rank, self.generator.config.num_classes, processes.count)
        results = []
        shown = self.progress and processes.is_main
        with processes.together(), progress_bar("classes", len(own), shown=shown, unit="classes") as bar:
            for label in own:
                result = self._kept(label)
                if result is None:
                    try:
                        result = self._score(label)
                    except EvaluationError as error:
                        raise EvaluationError(f"class {label}: {error}") from error
                    self._keep(result)
                results.append(result)
                bar.update()
        return sorted(processes.gather_list(results), key=lambda result: result.label)

    def _score(self, label: int) -> ClassResult:
        alone = Processes()
        pairs = self.protocol.pairs_per_class if MS_SSIM in self.metrics else 0
        needs_features = any(metric in self.metrics for metric in (INTRA_FRECHET, DIVERSITY))
        count = self.protocol.fakes_per_class if needs_features else 2 * pairs
        labels = torch.full((count,), label)
        stream = FakeStream(
            self.generator, labels, count, seed=self.seed, part=f"class {label}", truncation=self.truncation
        )
        first: list[Tensor] = []
        observers: list[Observer] = [_keep_first(first, 2 * pairs)] if pairs else []
        values: dict[str, float] = {}
        stds: dict[str, float] = {}
        reals = 0
        if needs_features:
            assert self.extractor is not None
            layers = extract(
                self.extractor,
                stream,
                batch_size=self.batch_size,
                processes=alone,
                observers=observers,
                progress=False,
            )
            features = layers[self.extractor.layer]
            if INTRA_FRECHET in self.metrics:
                wanted = self.protocol.reals_per_class or len(self.dataset)
                side = real_side(
                    self.dataset,
                    self.extractor,
                    wanted,
                    label=label,
                    cache=self.cache,
                    batch_size=self.batch_size,
                    processes=alone,
                    progress=False,
                )
                assert side is not None
                reals = len(side.features)
                values[INTRA_FRECHET] = frechet(features, side.moments)
            if DIVERSITY in self.metrics:
                values[DIVERSITY] = diversity(features)
        else:
            watch(stream, observers, batch_size=self.batch_size, processes=alone, progress=False)
        if pairs:
            images = torch.cat(first)
            similarity = ms_ssim(images[:pairs], images[pairs:])
            values[MS_SSIM], stds[MS_SSIM] = float(similarity.mean()), float(similarity.std())
        return ClassResult(label, self.dataset.class_names[label], count, reals, values, stds)

    def _path(self, label: int) -> Path | None:
        return None if self.work_dir is None else self.work_dir / f"class-{label:05d}.json"

    def _kept(self, label: int) -> ClassResult | None:
        path = self._path(label)
        if path is None:
            return None
        try:
            kept = json.loads(path.read_text())
            return ClassResult(**kept["result"]) if kept["identity"] == self._digest() else None
        except (OSError, json.JSONDecodeError, KeyError, TypeError):
            return None

    def _keep(self, result: ClassResult) -> None:
        path = self._path(result.label)
        if path is None:
            return
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps({"identity": self._digest(), "result": asdict(result)}) + "\n")
            partial.replace(path)
        except OSError as error:  # its scores are in memory; only a stop would lose them
            warnings.warn(f"{path}: a finished class cannot be kept ({error.strerror})", stacklevel=2)
            with contextlib.suppress(OSError):
                partial.unlink()

    def _digest(self) -> str:
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()


def forget_classes(work_dir: Path) -> None:
    """Remove finished classes, once the whole result is written.

    Args:
        work_dir: that was given to the evaluation.
    """
    for path in (*work_dir.glob("class-*.json"), *work_dir.glob(".class-*.json.*")):  # the latter of killed processes
        path.unlink()
    with contextlib.suppress(OSError):  # not there, or with files of somebody else's
        work_dir.rmdir()


def _keep_first(kept: list[Tensor], count: int) -> Observer:
    """Return an observer that copies the first images of a stream."""

    def observe(images: Tensor, start: int) -> None:
        if start < count:
            kept.append(images[: count - start].cpu())

    return observe
