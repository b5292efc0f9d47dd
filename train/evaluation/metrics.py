"""The metrics: each an entry in this table, and a method of `measured.Measured`. `--help` lists them without torch."""

from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, asdict, dataclass
from functools import partial
from typing import Any

from sngan_cond.validation import allowed_names
from train.errors import EvaluationError
from train.evaluation.ms_ssim import ms_ssim_form

Value = tuple[float, float | None]  # with its standard deviation where there is one

SPLIT_SEED = 2020  # torch-fidelity's own, of the order before splitting, and of the subsets


@dataclass(frozen=True)
class Metric:
    """A score, or several that are computed together.

    Args:
        key: what it is asked for by.
        stems: names of its values; an extractor's is added, so that no other network borrows a known name.
        values: of `measured.Measured`, one for each name.
        known: names with the network that readers expect behind them, the published Inception v3.
        settings: of an `Evaluation`, what else decides the values, as it is written beside them.
        fakes: the number of generated images, as the protocol calls it.
        source: what the images go through, the real ones too if it compares: a key of `Evaluation.sources`.
        compares: with real images.
        by_class: class by class, not of all together.
        lowest_is_worst: of the classes; else the highest is.
    """

    key: str
    _: KW_ONLY
    stems: tuple[str, ...]
    values: Callable[[Any], tuple[Value, ...]]
    known: tuple[str, ...] = ()
    settings: Callable[[Any], dict[str, Any]] = lambda _: {}
    fakes: str = "fakes"
    source: str = "extractor"
    compares: bool = False
    by_class: bool = False
    lowest_is_worst: bool = False

    def __post_init__(self) -> None:
        if self.by_class and len(self.stems) > 1:
            raise ValueError(f"metric {self.key}: one value is allowed within classes, not {', '.join(self.stems)}")

    def count(self, protocol: Any) -> int:
        """Return the number of generated images under a protocol, of a class if `by_class`."""
        return int(getattr(protocol, self.fakes))

    def names(self, extractor: Any) -> tuple[str, ...]:
        """Return what the values are called: `fid` with the published network alone."""
        if self.source != "extractor":
            return self.stems
        if extractor.is_published:
            return self.known
        suffix = "".join(letter if letter.isalnum() else "_" for letter in extractor.name).strip("_")
        return tuple(f"{stem}_{suffix}" for stem in self.stems)


def _splits(job: Any) -> dict[str, Any]:
    protocol = job.protocol
    classes = {} if protocol.score_classes is None else {"first_classes": protocol.score_classes}
    return {"splits": protocol.score_splits, "shuffled": True, "split_seed": SPLIT_SEED, **classes}


def _subsets(job: Any) -> dict[str, Any]:
    return {
        "subsets": job.protocol.kernel_subsets,
        "subset_size": job.protocol.kernel_subset_size,
        "subset_seed": SPLIT_SEED,
        "kernel": "polynomial, degree 3, gamma 1/D, coefficient 1",
    }


def _test_accuracy(job: Any) -> dict[str, Any]:
    metadata = job.classifier.metadata
    return {"accuracy_on_real_test_images": metadata.test_accuracy, "test_images": metadata.test_count}


def _per_class(job: Any) -> dict[str, Any]:
    return {"fakes_per_class": job.protocol.fakes_per_class, "reals_per_class": job.protocol.reals_per_class}


def _pairs(job: Any) -> dict[str, Any]:
    return {"pairs_per_class": job.protocol.pairs_per_class, **asdict(ms_ssim_form(job.dataset.resolution))}


_within = partial(Metric, settings=_per_class, fakes="fakes_per_class", by_class=True)
_TABLE = (
    Metric(
        "class_score",
        known=("inception_score",),
        stems=("class_score",),
        values=lambda m: m.class_score(),
        settings=_splits,
        fakes="score_fakes",
    ),
    Metric("frechet", known=("fid",), stems=("frechet",), values=lambda m: m.frechet(), compares=True),
    Metric(
        "kernel",
        known=("kid",),
        stems=("kernel_distance",),
        values=lambda m: m.kernel(),
        settings=_subsets,
        compares=True,
    ),
    Metric(
        "precision_recall",
        known=("precision_inception", "recall_inception"),  # the bare names mean VGG-16's features
        stems=("precision", "recall"),
        values=lambda m: m.precision_recall(),
        settings=lambda job: {"neighbours": job.protocol.neighbours},
        compares=True,
    ),
    Metric(
        "classifier_accuracy",
        stems=("classifier_accuracy",),
        values=lambda m: m.accuracy(),
        settings=_test_accuracy,
        source="classifier",
    ),
    _within(
        "intra_frechet",
        known=("intra_fid",),
        stems=("intra_frechet",),
        values=lambda m: m.frechet(),
        compares=True,
    ),
    _within(
        "ms_ssim",
        stems=("intra_ms_ssim",),
        values=lambda m: m.ms_ssim(),
        settings=_pairs,
        fakes="paired_fakes",
        source="pixels",
    ),
    _within(
        "diversity",
        known=("class_diversity_inception",),
        stems=("class_diversity",),
        values=lambda m: m.diversity(),
        lowest_is_worst=True,
    ),
)
METRICS = {metric.key: metric for metric in _TABLE}


def metrics_named(keys: Iterable[str]) -> tuple[Metric, ...]:
    """Return entries of METRICS in the order of their keys, each once.

    Raises:
        EvaluationError: if there is none of a key.
    """
    keys = dict.fromkeys(keys)
    for key in keys:
        if key not in METRICS:
            raise EvaluationError(f"--metrics {key!r}: {allowed_names(key, METRICS)}")
    return tuple(METRICS[key] for key in keys)
