"""What an evaluation works on; the scores over all classes and those within classes take the same."""

from dataclasses import dataclass
from pathlib import Path

from sngan_cond.networks.generator import Generator
from train.data.dataset import PreparedDataset
from train.evaluation.classifier_file import LoadedClassifier
from train.evaluation.extractors import Extractor
from train.evaluation.protocols import Protocol


@dataclass(frozen=True, kw_only=True)
class Job:
    """One evaluation, apart from its metrics.

    Args:
        generator: in eval mode.
        dataset: real images, and the names of the classes.
        extractor: on the generator's device; None if no metric is computed from features.
        classifier: on the generator's device; None unless its accuracy is measured.
        seed: of latents and labels.
        truncation: threshold for latents in standard deviations; None draws plain latents.
        batch_size: images at once on each process; changes no result beyond rounding.
        cache: folder of cached features of real images; None neither reads nor writes one.
    """

    generator: Generator
    dataset: PreparedDataset
    protocol: Protocol
    extractor: Extractor | None
    classifier: LoadedClassifier | None
    seed: int
    truncation: float | None
    batch_size: int
    cache: Path | None
    progress: bool
