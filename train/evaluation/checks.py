"""Checks of a request before anything is generated: what does not fit is said in seconds, not after hours."""

import numpy as np

from sngan_cond.latents import check_seed, check_truncation
from sngan_cond.networks.generator import Generator
from train.data.dataset import PreparedDataset
from train.errors import EvaluationError
from train.evaluation.classifier_file import LoadedClassifier
from train.evaluation.extractors import Extractor
from train.evaluation.protocols import (
    CLASS_METRICS,
    CLASS_SCORE,
    CLASSIFIER_ACCURACY,
    FRECHET,
    INTRA_FRECHET,
    KERNEL,
    METRICS,
    MS_SSIM,
    PRECISION_RECALL,
    Protocol,
    allowed_names,
)
from train.evaluation.scores import ms_ssim_settings

_NEEDS_EXTRACTOR = tuple(metric for metric in METRICS if metric not in (CLASSIFIER_ACCURACY, MS_SSIM))


def needs_extractor(metrics: tuple[str, ...]) -> bool:
    """Return whether any of the metrics is computed from features."""
    return any(metric in _NEEDS_EXTRACTOR for metric in metrics)


def check_numbers(seed: int, truncation: float | None, batch_size: int) -> None:
    """Raise if a number is out of range.

    Raises:
        EvaluationError: one line that names argument, value and what is allowed.
    """
    try:
        check_seed(seed)
        check_truncation(truncation)
    except ValueError as error:
        raise EvaluationError(f"--{error}") from error
    if isinstance(batch_size, bool) or batch_size < 1:
        raise EvaluationError(f"--batch {batch_size}: an integer from 1 is allowed")


def check_request(
    generator: Generator,
    dataset: PreparedDataset,
    protocol: Protocol,
    metrics: tuple[str, ...],
    extractor: Extractor | None,
    classifier: LoadedClassifier | None,
) -> None:
    """Raise at the first thing that does not fit.

    Args:
        metrics: to be measured.
        extractor: None is allowed if no metric needs features.
        classifier: None is allowed unless its accuracy is to be measured.
    Raises:
        EvaluationError: one line that names argument, value and what is allowed.
    """
    for metric in metrics:
        if metric not in METRICS:
            raise EvaluationError(f"--metrics {metric!r}: {allowed_names(metric, METRICS)}")
    if not metrics:
        raise EvaluationError(f"--metrics: at least one of {', '.join(METRICS)} is needed")
    _check_data(generator, dataset, protocol, metrics)
    if extractor is None and needs_extractor(metrics):
        raise EvaluationError(f"extractor=None: {', '.join(m for m in metrics if m in _NEEDS_EXTRACTOR)} need one")
    device = next(generator.parameters()).device
    if extractor is not None and extractor.device.type != device.type:
        raise EvaluationError(f"the extractor is on {extractor.device}, the generator on {device}; they must match")
    if MS_SSIM in metrics:
        ms_ssim_settings(generator.config.resolution)
    if CLASSIFIER_ACCURACY in metrics:
        _check_classifier(generator, dataset, classifier)


def _check_data(generator: Generator, dataset: PreparedDataset, protocol: Protocol, metrics: tuple[str, ...]) -> None:
    config = generator.config
    if dataset.resolution != config.resolution:
        raise EvaluationError(
            f"--data {dataset.folder}: images of {dataset.resolution} px; the model makes {config.resolution} px"
        )
    if config.num_classes and dataset.num_classes not in (0, config.num_classes):
        raise EvaluationError(
            f"--data {dataset.folder}: {dataset.num_classes} classes; the model has {config.num_classes}"
        )
    by_class = [metric for metric in metrics if metric in CLASS_METRICS]
    if by_class and not (config.num_classes and dataset.num_classes):
        raise EvaluationError(f"{', '.join(by_class)}: a model and a data set with classes are needed")
    if by_class or CLASSIFIER_ACCURACY in metrics:
        ids = bool(config.class_ids and dataset.info.class_ids)
        _check_order(
            list((config.class_ids if ids else config.class_names) or ()),
            list((dataset.info.class_ids if ids else dataset.info.class_names) or ()),
            f"--data {dataset.folder}",
        )
    if INTRA_FRECHET in metrics and min(dataset.info.images_per_class) < 2:
        label = int(np.argmin(dataset.info.images_per_class))
        raise EvaluationError(
            f"--data {dataset.folder}: class {label} has {dataset.info.images_per_class[label]} images; "
            f"{INTRA_FRECHET} needs at least 2 of every class"
        )
    if any(metric in metrics for metric in (FRECHET, KERNEL, PRECISION_RECALL)) and len(dataset) < protocol.reals:
        raise EvaluationError(
            f"--data {dataset.folder}: {len(dataset):,} images, protocol {protocol.name} takes {protocol.reals:,}; "
            f"--reals {len(dataset)} takes all of them and renames the protocol"
        )
    if CLASS_SCORE in metrics and protocol.score_fakes < protocol.score_splits * 2:
        raise EvaluationError(f"--fakes {protocol.score_fakes}: at least {protocol.score_splits * 2} are needed")


def _check_order(ours: list[str], theirs: list[str], what: str) -> None:
    """Raise if a class of the model has another label elsewhere.

    Names that only one of the two has are not compared: the same classes may be named in two languages. Nor are names
    that stand twice, as ImageNet's "crane" and "maillot" do.
    """
    for label, name in enumerate(ours):
        if theirs.count(name) == 1 and ours.count(name) == 1 and theirs[label : label + 1] != [name]:
            raise EvaluationError(
                f"{what}: {name!r} is class {theirs.index(name)} there and class {label} of the model; "
                "the order must be the same"
            )


def _check_classifier(generator: Generator, dataset: PreparedDataset, classifier: LoadedClassifier | None) -> None:
    config = generator.config
    if classifier is None:
        raise EvaluationError(f"--metrics {CLASSIFIER_ACCURACY}: --classifier FILE is needed")
    if not config.num_classes:
        raise EvaluationError(f"--metrics {CLASSIFIER_ACCURACY}: a model with classes is needed")
    metadata = classifier.metadata
    if (metadata.num_classes, metadata.resolution) != (config.num_classes, config.resolution):
        raise EvaluationError(
            f"--classifier: {metadata.num_classes} classes at {metadata.resolution} px; the model has "
            f"{config.num_classes} at {config.resolution} px"
        )
    _check_order(list(config.class_names or ()), list(metadata.class_names), "--classifier")
    if dataset.class_names and metadata.class_names != dataset.class_names:
        raise EvaluationError("--classifier: its class names, in order, differ from those of --data")
