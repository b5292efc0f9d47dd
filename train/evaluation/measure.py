"""`evaluate`: score a generator with a data set, a protocol and an extractor."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, PartialState

from sngan_cond.networks.generator import Generator
from train.data.dataset import PreparedDataset
from train.evaluation.checks import check_numbers, check_request
from train.evaluation.classifier_file import LoadedClassifier, count_correct
from train.evaluation.distributed import Processes
from train.evaluation.extractors import Extractor
from train.evaluation.features import Observer, extract, watch
from train.evaluation.intra_class import ClassWork
from train.evaluation.job import Job
from train.evaluation.protocols import (
    CLASS_METRICS,
    CLASS_SCORE,
    CLASSIFIER_ACCURACY,
    FRECHET,
    KERNEL,
    PRECISION_RECALL,
    Protocol,
    protocol_named,
)
from train.evaluation.real_features import dataset_summary, reference_features
from train.evaluation.report import (
    Report,
    check_finite,
    class_rows,
    classifier_row,
    global_rows,
    weights_sha256,
)
from train.evaluation.scores import SPLIT_SEED, global_scores
from train.evaluation.streams import REALS_SEED, EvalMode, FakeStream, draw_labels
from train.run.provenance import versions

# Those that take part in a score.
_PACKAGES = ("sngan-cond", "torch", "torchvision", "torch-fidelity", "torchmetrics", "timm", "numpy", "accelerate")
_NEEDS_REALS = (FRECHET, KERNEL, PRECISION_RECALL)


def evaluate(
    generator: Generator,
    dataset: PreparedDataset,
    protocol: Protocol | str,
    *,
    extractor: Extractor | None,
    metrics: Sequence[str] | None = None,
    seed: int = 0,
    truncation: float | None = None,
    batch_size: int = 64,
    classifier: LoadedClassifier | None = None,
    accelerator: Accelerator | PartialState | None = None,
    cache: Path | None = None,
    work_dir: Path | None = None,
    model: str | None = None,
    progress: bool = True,
) -> Report:
    """Score a generator. Every process of `accelerator` must call; they share the images and classes out.

    Global random state, the generator's weights, running statistics and mode, and the data set stay as they are.

    Args:
        generator: is scored in eval mode, whatever its mode is.
        dataset: real images to compare with.
        protocol: or its name.
        extractor: on the generator's device; None if no metric asked for needs features.
        metrics: of METRICS; None takes the protocol's, and `classifier_accuracy` where a classifier is given.
        seed: of latents and labels.
        truncation: as in `sngan_cond.sample`; None for plain latents, which published scores use.
        batch_size: images at once on each process; changes no score beyond rounding.
        classifier: for `classifier_accuracy`, on the generator's device.
        accelerator: of a launched program; None for this process alone.
        cache: folder for features of real images; None neither reads nor writes one.
        work_dir: folder for finished classes, from which a stopped evaluation resumes; None for none.
        model: the generator's name in the report.
        progress: show bars.
    Returns:
        The report, the same on every process.
    Raises:
        EvaluationError: if the request does not fit generator, data set, extractor or classifier.
    """
    started = time.monotonic()
    protocol = protocol_named(protocol) if isinstance(protocol, str) else protocol
    default = protocol.metrics + ((CLASSIFIER_ACCURACY,) if classifier is not None else ())
    wanted = default if metrics is None else tuple(dict.fromkeys(metrics))
    check_numbers(seed, truncation, batch_size)
    check_request(generator, dataset, protocol, wanted, extractor, classifier)
    processes = Processes(accelerator)
    job = Job(
        generator=generator,
        dataset=dataset,
        protocol=protocol,
        extractor=extractor,
        classifier=classifier,
        seed=seed,
        truncation=truncation,
        batch_size=batch_size,
        cache=cache,
        progress=progress,
    )
    provenance = _provenance(job, model)
    rows: list[dict[str, Any]] = []
    with EvalMode(generator), exact_float32():
        if over_all := tuple(metric for metric in wanted if metric not in CLASS_METRICS):
            rows += _score_all_classes(job, over_all, processes)
        if by_class := tuple(metric for metric in wanted if metric in CLASS_METRICS):
            work = ClassWork(job=job, metrics=by_class, work_dir=work_dir, identity={**provenance, "metrics": by_class})
            rows += class_rows(work.run(processes), by_class, protocol, extractor, seed, generator.config.resolution)
    rows = processes.from_main(rows)
    check_finite(rows)
    run = {
        "batch_size": batch_size,
        "processes": processes.count,
        "device": str(next(generator.parameters()).device),
        "seconds": round(time.monotonic() - started, 3),
    }
    return Report(rows, {**provenance, **run})


def _provenance(job: Job, model: str | None) -> dict[str, Any]:
    """Return everything that decides the scores, as it is written beside them."""
    extractor = job.extractor
    return {
        "protocol": asdict(job.protocol),
        "seeds": {"latents_and_labels": job.seed, "choice_of_reals": REALS_SEED, "splits_and_subsets": SPLIT_SEED},
        "truncation": job.truncation,
        "model": {
            "name": model,
            "weights_sha256": weights_sha256(job.generator),
            "resolution": job.generator.config.resolution,
            "num_classes": job.generator.config.num_classes,
        },
        "dataset": dataset_summary(job.dataset),
        "extractor": None
        if extractor is None
        else {
            "name": extractor.name,
            "sha256": extractor.sha256,
            "resize": extractor.resize,
            "layer": extractor.layer,
            "score_layer": extractor.score_layer,
            "is_published": extractor.is_published,
        },
        "versions": versions(*_PACKAGES),
    }


def _score_all_classes(job: Job, metrics: tuple[str, ...], processes: Processes) -> list[dict[str, Any]]:
    """Score one stream of fakes of all classes; returns the rows on the main process, an empty list on the others."""
    protocol, extractor, classifier = job.protocol, job.extractor, job.classifier
    # One stream serves all metrics: the class score takes its first images, the distances theirs.
    count = max(
        protocol.score_fakes if CLASS_SCORE in metrics else 0,
        protocol.fakes if set(metrics) - {CLASS_SCORE} else 0,
    )
    labels = draw_labels(count, job.generator.config.num_classes, protocol.labels, job.seed)
    stream = FakeStream(job.generator, labels, count, seed=job.seed, part="all", truncation=job.truncation)
    correct = torch.zeros((), dtype=torch.long)
    observers: list[Observer] = []
    if CLASSIFIER_ACCURACY in metrics:
        assert classifier is not None
        assert labels is not None
        observers.append(count_correct(classifier, labels[: protocol.fakes], correct))

    rows: list[dict[str, Any]] = []
    how: dict[str, Any] = {"batch_size": job.batch_size, "processes": processes, "progress": job.progress}
    if extractor is not None and set(metrics) - {CLASSIFIER_ACCURACY}:
        layers = extract(extractor, stream, observers=observers, what="generated images", **how)
        reference = None
        if any(metric in metrics for metric in _NEEDS_REALS):
            reference = reference_features(job.dataset, extractor, protocol.reals, cache=job.cache, **how)
        if processes.is_main:
            fakes, logits = layers[extractor.layer][: protocol.fakes], layers[extractor.score_layer]
            scores = global_scores(metrics, fakes, logits[: protocol.score_fakes], reference, protocol)
            rows += global_rows(scores, protocol, extractor, job.seed)
    else:
        watch(stream, observers, what="generated images", **how)
    if classifier is not None and CLASSIFIER_ACCURACY in metrics:
        total = sum(processes.gather_list([int(correct)]))
        if processes.is_main:
            rows.append(classifier_row(total / protocol.fakes, classifier, protocol, job.seed))
    return rows


@contextmanager
def exact_float32() -> Iterator[None]:
    """Keep GPUs from rounding the inputs of float32 matrix products and convolutions, so that devices agree on a score.

    By default PyTorch lets cuDNN round convolutions to TF32, which moves features by a part in a thousand.
    """
    matmul, conv = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = conv
