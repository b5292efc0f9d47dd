"""Checks of an evaluation before anything is generated: what does not fit is said in seconds, not after hours."""

from collections.abc import Sequence

import numpy as np

from sngan_cond.config import GeneratorConfig
from sngan_cond.latents import check_seed, check_truncation
from sngan_cond.networks.generator import Generator
from train.data.dataset import PreparedDataset
from train.errors import EvaluationError, need_package
from train.evaluation.job import Evaluation
from train.evaluation.metrics import METRICS
from train.evaluation.ms_ssim import ms_ssim_form


def check(job: Evaluation, generator: Generator) -> None:
    """Raise at the first thing that does not fit.

    Raises:
        EvaluationError: one line that names argument, value and what is allowed.
    """
    _check_numbers(job)
    if not job.metrics:
        raise EvaluationError(f"--metrics: at least one of {', '.join(METRICS)} is needed")
    _check_data(job, generator.config)
    _check_counts(job)
    extractor, device = job.extractor, next(generator.parameters()).device
    unmet = [metric.key for metric in job.metrics if metric.source == "extractor"]
    if extractor is None and unmet:
        raise EvaluationError(f"extractor=None: {', '.join(unmet)} need one")
    if extractor is not None and extractor.device.type != device.type:
        raise EvaluationError(f"the extractor is on {extractor.device}, the generator on {device}; they must match")
    if extractor is not None and extractor.score_layer is None and METRICS["class_score"] in job.metrics:
        others = ", ".join(metric.key for metric in job.metrics if metric.key != "class_score") or "frechet"
        raise EvaluationError(
            f"class_score: extractor {extractor.name} tells no classes; --metrics {others} does without it"
        )
    if METRICS["ms_ssim"] in job.metrics:
        need_package("torchmetrics", extra="eval", wanted="--metrics ms_ssim", error=EvaluationError)
        ms_ssim_form(generator.config.resolution)
    for metric in job.metrics:
        if metric.source == "classifier":
            _check_classifier(job, generator.config, metric.key)
        if metric.source == "learner":
            _check_test(job, generator.config, metric.key)


def _check_numbers(job: Evaluation) -> None:
    for flag, count in (("batch", job.batch_size), ("seeds", job.sample_sets)):
        if isinstance(count, bool) or count < 1:
            raise EvaluationError(f"--{flag} {count}: an integer from 1 is allowed")
    try:
        check_seed(job.seed)
        check_seed(job.seed + job.sample_sets - 1)
        check_truncation(job.truncation)
    except ValueError as error:
        raise EvaluationError(f"--{error}") from error


def _check_data(job: Evaluation, config: GeneratorConfig) -> None:
    """Raise if a data set's images and classes are not those of the model."""
    dataset, data = job.dataset, f"--data {job.dataset.folder}"
    if dataset.resolution != config.resolution:
        raise EvaluationError(f"{data}: images of {dataset.resolution} px; the model makes {config.resolution} px")
    if config.num_classes and dataset.num_classes not in (0, config.num_classes):
        raise EvaluationError(f"{data}: {dataset.num_classes} classes; the model has {config.num_classes}")
    by_class = [metric.key for metric in job.metrics if metric.by_class]
    if by_class and not (config.num_classes and dataset.num_classes):
        raise EvaluationError(f"{', '.join(by_class)}: a model and a data set with classes are needed")
    if by_class or any(metric.source in ("classifier", "learner") for metric in job.metrics):
        _check_classes(config, dataset, data)


def _check_counts(job: Evaluation) -> None:
    """Raise if there are too few images for a metric."""
    dataset, protocol, data = job.dataset, job.protocol, f"--data {job.dataset.folder}"
    per_class = dataset.info.images_per_class
    for metric in job.metrics:
        if metric.by_class and metric.compares and min(per_class) < 2:
            raise EvaluationError(
                f"{data}: class {np.argmin(per_class)} has {min(per_class)} images; "
                f"{metric.key} needs at least 2 of every class"
            )
    if len(dataset) < protocol.reals and any(metric.compares and not metric.by_class for metric in job.metrics):
        raise EvaluationError(
            f"{data}: {len(dataset):,} images, protocol {protocol.name} takes {protocol.reals:,}; "
            f"--reals {len(dataset)} takes all of them and renames the protocol"
        )
    if METRICS["class_score"] in job.metrics and protocol.score_fakes < protocol.score_splits * 2:
        raise EvaluationError(f"--fakes {protocol.score_fakes}: at least {protocol.score_splits * 2} are needed")


def _check_classes(config: GeneratorConfig, dataset: PreparedDataset, what: str) -> None:
    """Raise if a class of the model has another label in a data set, by ids where both have them."""
    if config.class_ids and dataset.class_ids:
        _check_order(config.class_ids, dataset.class_ids, what)
    else:
        _check_order(config.class_names or (), dataset.class_names, what)


def _check_order(ours: Sequence[str], theirs: Sequence[str], what: str) -> None:
    """Raise if a class of the model has another label elsewhere.

    Names that only one of the two has are not compared: the same classes may be named in two languages. Nor are names
    that stand twice, as ImageNet's "crane" and "maillot" do.
    """
    for label, name in enumerate(ours):
        if theirs.count(name) == 1 and ours.count(name) == 1 and theirs.index(name) != label:
            raise EvaluationError(
                f"{what}: {name!r} is class {theirs.index(name)} there and class {label} of the model; "
                "the order must be the same"
            )


def _check_classifier(job: Evaluation, config: GeneratorConfig, metric: str) -> None:
    if job.classifier is None:
        raise EvaluationError(f"--metrics {metric}: --classifier FILE is needed")
    if not config.num_classes:
        raise EvaluationError(f"--metrics {metric}: a model with classes is needed")
    metadata = job.classifier.metadata
    if (metadata.num_classes, metadata.resolution) != (config.num_classes, config.resolution):
        raise EvaluationError(
            f"--classifier: {metadata.num_classes} classes at {metadata.resolution} px; the model has "
            f"{config.num_classes} at {config.resolution} px"
        )
    _check_order(config.class_names or (), metadata.class_names, "--classifier")
    if job.dataset.class_names and metadata.class_names != job.dataset.class_names:
        raise EvaluationError("--classifier: its class names, in order, differ from those of --data")


def _check_test(job: Evaluation, config: GeneratorConfig, metric: str) -> None:
    if job.test is None:
        raise EvaluationError(f"--metrics {metric}: --test DIR is needed, a data set that the model was not trained on")
    if not config.num_classes:
        raise EvaluationError(f"--metrics {metric}: a model with classes is needed")
    test = f"--test {job.test.folder}"
    if (job.test.num_classes, job.test.resolution) != (config.num_classes, config.resolution):
        raise EvaluationError(
            f"{test}: {job.test.num_classes} classes at {job.test.resolution} px; the model has {config.num_classes} "
            f"at {config.resolution} px"
        )
    _check_classes(config, job.test, test)
    test_ids, ids = job.test.class_ids, job.dataset.class_ids
    differ = test_ids != ids if test_ids and ids else job.test.class_names != job.dataset.class_names
    if job.dataset.num_classes and differ:
        raise EvaluationError(f"{test}: its classes, in order, differ from those of --data")


def check_held_out(job: Evaluation, dataset: PreparedDataset, name: str) -> None:
    """Raise if the test set holds the images of a data set.

    Args:
        dataset: that the model was trained on.
        name: of it, for the message.
    Raises:
        EvaluationError: one line that names both.
    """
    if job.test is not None and job.test.info.sha256["images.npy"] == dataset.info.sha256["images.npy"]:
        raise EvaluationError(f"--test {job.test.folder}: holds the images of {name}; others are allowed")
