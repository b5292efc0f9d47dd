"""What an evaluation works on, opened in the same way for the command, during a run and for the papers' tables."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from train.data.dataset import PreparedDataset
from train.evaluation.classifier_file import LoadedClassifier, load_classifier
from train.evaluation.distributed import Processes
from train.evaluation.extractors import Extractor, load_extractor
from train.evaluation.metrics import METRICS, Metric, metrics_named
from train.evaluation.protocols import Protocol, protocol_named
from train.sections import EvaluationConfig


@dataclass(frozen=True)
class Plain:
    """A source of `extract` without a network.

    Args:
        read: rows (n, ...) by name, of images (n, 3, R, R) uint8. All rows of a group are kept: of 50,000 images of
            128 px, the images themselves would be 2.5 GB.
    """

    name: str
    read: Callable[[Tensor], dict[str, Tensor]]
    sha256: None = None


PLAIN_SOURCES = {
    "pixels": Plain("none (pixels)", lambda images: {"images": images}),
    "learner": Plain("small CNN trained on the samples", lambda images: {"images": images}),
}


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Everything that an evaluation takes but the generator.

    Args:
        dataset: real images to compare with, and the names of the classes.
        extractor: on the generator's device; None if no metric is computed from features.
        classifier: on the generator's device; None unless its accuracy is measured.
        test: real images that a classifier trained on generated ones is tested on; None unless that is measured.
        seed: of latents and labels, of the first sample set.
        sample_sets: from this seed and the ones after it, over which scores are averaged.
        truncation: as in `sngan_cond.sample`; None for plain latents, which published scores use.
        batch_size: images at once on each process; changes no score beyond rounding.
        cache: folder for features of real images; None neither reads nor writes one.
        processes: that share out images and classes.
        progress: show bars.
    """

    dataset: PreparedDataset
    protocol: Protocol
    metrics: tuple[Metric, ...]
    extractor: Extractor | None = None
    classifier: LoadedClassifier | None = None
    test: PreparedDataset | None = None
    seed: int = 0
    sample_sets: int = 1
    truncation: float | None = None
    batch_size: int = 64
    cache: Path | None = None
    processes: Processes = field(default_factory=Processes)
    progress: bool = False

    def reals(self, label: int | None) -> int:
        """Return the number of real images that are compared with: of all classes, or of one."""
        if label is None:
            return min(self.protocol.reals, len(self.dataset))
        return min(self.protocol.reals_per_class or len(self.dataset), self.dataset.info.images_per_class[label])

    @property
    def over_all(self) -> list[Metric]:
        """The metrics over all classes together, in the order of METRICS, which share one stream of images."""
        return [metric for metric in METRICS.values() if metric in self.metrics and not metric.by_class]

    @property
    def sources(self) -> dict[str, Any]:
        """What images go through for a score, by `Metric.source`."""
        return {"extractor": self.extractor, "classifier": self.classifier, **PLAIN_SOURCES}


_load_extractor = functools.lru_cache(maxsize=1)(load_extractor)  # of the papers' tables, every row has the same one


def open_evaluation(
    asked: EvaluationConfig,
    dataset: PreparedDataset,
    *,
    device: torch.device | str,
    weights_sha256: str | None = None,
    **job: Any,
) -> Evaluation:
    """Resolve names and load the networks that score images, where the metrics need them.

    Args:
        asked: its `data` has been opened as `dataset`. A classifier adds its accuracy to the metrics, a test set the
            classification accuracy score.
        device: the generator's.
        weights_sha256: of the extractor's weights; None accepts any.
        job: further fields of `Evaluation`.
    Raises:
        EvaluationError: if protocol, metrics, extractor or classifier cannot be had.
        DataError: if the test set cannot be used.
    """
    protocol = protocol_named(asked.protocol).reduced(fakes=asked.fakes, reals=asked.reals)
    accuracy = () if asked.classifier is None else ("classifier_accuracy",)
    learnt = () if asked.test is None else ("classification_accuracy_score",)
    metrics = metrics_named((*(asked.metrics or protocol.metrics), *accuracy, *learnt))
    extractor = None
    if any(metric.source == "extractor" for metric in metrics):
        extractor = _load_extractor(
            asked.extractor, weights=asked.weights, weights_sha256=weights_sha256, device=device
        )
    classifier = None if asked.classifier is None else load_classifier(asked.classifier, device)
    return Evaluation(
        dataset=dataset,
        protocol=protocol,
        metrics=metrics,
        extractor=extractor,
        classifier=classifier,
        test=None if asked.test is None else PreparedDataset.open(asked.test),
        sample_sets=asked.seeds,
        batch_size=asked.batch,
        **job,
    )
