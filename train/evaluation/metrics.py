"""The metrics: each an entry in this table, and a method of `measured.Measured`. `--help` lists them without torch."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field
from functools import partial
from typing import Any

from sngan_cond.validation import allowed_names
from train.errors import EvaluationError
from train.evaluation.ms_ssim import ms_ssim_form
from train.evaluation.names import DINOV2, INCEPTION

Value = tuple[float, float | None]  # with its standard deviation where there is one

SPLIT_SEED = 2020  # torch-fidelity's own, of the order before splitting, and of the subsets


@dataclass(frozen=True)
class Metric:
    """A score, or several that are computed together.

    Args:
        key: what it is asked for by.
        stems: names of its values; an extractor's is added, so that no other network borrows a known name.
        values: of `measured.Measured`, one for each name, or for the first of them where the last mean nothing.
        known: names under which readers expect the values of an extractor with its published weights.
        settings: of an `Evaluation`, what else decides the values, as it is written beside them.
        std_over: of an `Evaluation`, what the standard deviation of a value over all classes is over, if it has one.
        details: of `measured.Measured`, what else the row of a value over all classes says.
        remark: of an `Evaluation` and the numbers of generated and of real images, of a class if `by_class`: what a
            reader of the values must know, if there is anything.
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
    known: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    settings: Callable[[Any], dict[str, Any]] = lambda _: {}
    std_over: Callable[[Any], str | None] = lambda _: None
    details: Callable[[Any], dict[str, Any]] = lambda _: {}
    remark: Callable[[Any, int, int], str | None] = lambda *_: None
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
        """Return what the values are called: `fid` with the published network alone, whose name others cannot have."""
        if self.source != "extractor":
            return self.stems
        if extractor.name in self.known:
            return self.known[extractor.name]
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


def _trained_on_samples(job: Any) -> dict[str, Any]:
    return {
        "network": "this project's strided convolutions, 32 channels first (Ravuri and Vinyals 2019: ResNet-50)",
        "epochs": job.protocol.cas_epochs,
        "test_images": len(job.test),
        "test_sha256": job.test.info.sha256["images.npy"],
    }


def _per_class(job: Any) -> dict[str, Any]:
    return {"fakes_per_class": job.protocol.fakes_per_class, "reals_per_class": job.protocol.reals_per_class}


def _pairs(job: Any) -> dict[str, Any]:
    return {"pairs_per_class": job.protocol.pairs_per_class, **asdict(ms_ssim_form(job.dataset.resolution))}


def _few_images(job: Any, fakes: int, reals: int) -> str | None:
    """Caution where a covariance of as many features as the extractor has cannot be had of so few images."""
    width = job.extractor.width(job.dataset.resolution)
    few = [f"{count:,} {kind}" for count, kind in ((fakes, "generated"), (reals, "real")) if count < width]
    if not few:
        return None
    return (
        f"{' and '.join(few)} images are fewer than the {width:,} features: this Frechet distance is biased and not "
        "comparable with one of other counts; the kernel distance is not biased"
    )


def _sample_of_reals(job: Any, _: int, reals: int) -> str | None:
    """Caution where most copies would go unseen."""
    count = len(job.dataset)
    return None if reals >= count else f"against {reals:,} of {count:,} images: copies of the others are not seen"


_within = partial(Metric, settings=_per_class, fakes="fakes_per_class", by_class=True)
_TABLE = (
    Metric(
        "class_score",
        known={INCEPTION: ("inception_score",)},
        stems=("class_score",),
        values=lambda m: m.class_score(),
        settings=_splits,
        std_over=lambda job: f"{job.protocol.score_splits} splits",
        fakes="score_fakes",
    ),
    Metric(
        "frechet",
        known={INCEPTION: ("fid",), DINOV2: ("fd_dinov2",)},
        stems=("frechet",),
        values=lambda m: m.frechet(),
        remark=_few_images,
        compares=True,
    ),
    Metric(
        "kernel",
        known={INCEPTION: ("kid",)},
        stems=("kernel_distance",),
        values=lambda m: m.kernel(),
        settings=_subsets,
        std_over=lambda job: f"{job.protocol.kernel_subsets} subsets",
        compares=True,
    ),
    Metric(
        "precision_recall",
        known={INCEPTION: ("precision_inception", "recall_inception")},
        stems=("precision", "recall"),
        values=lambda m: m.precision_recall(),
        settings=lambda job: {"neighbours": job.protocol.neighbours},
        compares=True,
    ),
    Metric(
        "density_coverage",
        known={INCEPTION: ("density_inception", "coverage_inception")},
        stems=("density", "coverage"),
        values=lambda m: m.density_coverage(),
        settings=lambda job: {"neighbours": job.protocol.density_neighbours},
        compares=True,
    ),
    Metric(
        "authenticity",
        known={INCEPTION: ("authenticity_inception",)},
        stems=("authenticity",),
        values=lambda m: m.authenticity(),
        details=lambda m: m.closest(),
        remark=_sample_of_reals,
        settings=lambda _: {"authentic": "d(generated, nearest real) > d(that real, nearest other real)"},
        compares=True,
    ),
    Metric(
        "classifier_accuracy",
        stems=("classifier_accuracy",),
        values=lambda m: m.accuracy(),
        settings=_test_accuracy,
        source="classifier",
    ),
    Metric(
        "classification_accuracy_score",
        stems=("classification_accuracy_score_small_cnn", "classification_accuracy_score_small_cnn_top5"),
        values=lambda m: m.classification_accuracy_score(),
        settings=_trained_on_samples,
        fakes="cas_fakes",
        source="learner",
    ),
    _within(
        "intra_frechet",
        known={INCEPTION: ("intra_fid",)},
        stems=("intra_frechet",),
        values=lambda m: m.frechet(),
        remark=_few_images,
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
        known={INCEPTION: ("class_diversity_inception",)},
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
