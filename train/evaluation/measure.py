"""`evaluate`: a generator, a data set, a protocol and an extractor in; a report out; nothing else is touched."""

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
from train.evaluation.classifier_file import LoadedClassifier, count_right
from train.evaluation.distributed import Processes
from train.evaluation.extractors import Extractor
from train.evaluation.features import Observer, extract, watch
from train.evaluation.intra_class import ClassWork
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
from train.evaluation.real_features import dataset_facts, real_side
from train.evaluation.report import (
    Report,
    check_finite,
    class_rows,
    classifier_row,
    global_rows,
    versions,
    weights_sha256,
)
from train.evaluation.scores import SPLIT_SEED, Value, global_scores
from train.evaluation.streams import REALS_SEED, EvalMode, FakeStream, draw_labels


@contextmanager
def exact_float32() -> Iterator[None]:
    """Keep GPUs from rounding what float32 products and convolutions take in, so that devices agree on a score.

    PyTorch rounds convolutions to TF32 by default, which moves features by a part in a thousand.
    """
    products, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions


_COMPARES = (FRECHET, KERNEL, PRECISION_RECALL)


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
    """Measure a generator. Every process of `accelerator` must call; each generates and extracts its share.

    Global random state, the generator's weights, statistics and mode, and the data set stay as they are.

    Args:
        generator: whose images are scored, as they come in eval mode.
        dataset: the real side.
        protocol: or its name.
        extractor: of features, on the generator's device; None if no metric asked for needs one.
        metrics: of METRICS; None takes the protocol's, and `classifier_accuracy` where a classifier is given.
        seed: of latents and labels.
        truncation: as in `sngan_cond.sample`; None for plain latents, which is what published scores take.
        batch_size: images at once on each process; not part of the result.
        classifier: for `classifier_accuracy`, on the generator's device.
        accelerator: of a launched program; None for this process alone.
        cache: folder that keeps features of real images; None keeps nothing.
        work_dir: folder that keeps finished classes, so that an evaluation by class can go on; None keeps nothing.
        model: what the generator is called in the report.
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
    facts = {
        "protocol": asdict(protocol),
        "seeds": {"latents_and_labels": seed, "choice_of_reals": REALS_SEED, "splits_and_subsets": SPLIT_SEED},
        "truncation": truncation,
        "model": {
            "name": model,
            "weights_sha256": weights_sha256(generator),
            "resolution": generator.config.resolution,
            "num_classes": generator.config.num_classes,
        },
        "dataset": dataset_facts(dataset),
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
        "versions": versions(),
    }
    rows: list[dict[str, Any]] = []
    with EvalMode(generator), exact_float32():
        globals_wanted = tuple(metric for metric in wanted if metric not in CLASS_METRICS)
        if globals_wanted:
            rows += _global(
                generator, dataset, protocol, globals_wanted, extractor, classifier, seed=seed, truncation=truncation,
                batch_size=batch_size, processes=processes, cache=cache, progress=progress,
            )  # fmt: skip
        if by_class := tuple(metric for metric in wanted if metric in CLASS_METRICS):
            work = ClassWork(
                generator=generator,
                dataset=dataset,
                protocol=protocol,
                metrics=by_class,
                extractor=extractor,
                seed=seed,
                truncation=truncation,
                batch_size=batch_size,
                cache=cache,
                work_dir=work_dir,
                identity={**facts, "metrics": by_class},
                progress=progress,
            )
            rows += class_rows(work.run(processes), by_class, protocol, extractor, seed, generator.config.resolution)
    rows = processes.from_main(rows)
    check_finite(rows)
    run = {
        "batch_size": batch_size,
        "processes": processes.count,
        "device": str(next(generator.parameters()).device),
        "seconds": round(time.monotonic() - started, 3),
    }
    return Report(rows, {**facts, **run})


def _global(
    generator: Generator,
    dataset: PreparedDataset,
    protocol: Protocol,
    metrics: tuple[str, ...],
    extractor: Extractor | None,
    classifier: LoadedClassifier | None,
    *,
    seed: int,
    truncation: float | None,
    batch_size: int,
    processes: Processes,
    cache: Path | None,
    progress: bool,
) -> list[dict[str, Any]]:
    """Score one stream of fakes of all classes; the rows are the main process's, empty on the others."""
    count = max(
        protocol.score_fakes if CLASS_SCORE in metrics else 0,
        protocol.fakes if set(metrics) - {CLASS_SCORE} else 0,
    )
    labels = draw_labels(count, generator.config.num_classes, protocol.labels, seed)
    stream = FakeStream(generator, labels, count, seed=seed, part="all", truncation=truncation)
    right = torch.zeros((), dtype=torch.long)
    observers: list[Observer] = []
    if CLASSIFIER_ACCURACY in metrics:
        assert classifier is not None
        assert labels is not None
        observers.append(count_right(classifier, labels[: protocol.fakes], right))

    rows: list[dict[str, Any]] = []
    if extractor is not None and set(metrics) - {CLASSIFIER_ACCURACY}:
        layers = extract(
            extractor, stream, batch_size=batch_size, processes=processes, observers=observers,
            what="generated images", progress=progress,
        )  # fmt: skip
        real = None
        if any(metric in metrics for metric in _COMPARES):
            real = real_side(
                dataset, extractor, protocol.reals, cache=cache, batch_size=batch_size, processes=processes,
                progress=progress,
            )  # fmt: skip
        if processes.is_main:
            fakes, logits = layers[extractor.layer][: protocol.fakes], layers[extractor.score_layer]
            scores: dict[str, tuple[Value, ...]] = global_scores(
                metrics, fakes, logits[: protocol.score_fakes], real, protocol
            )
            rows += global_rows(scores, protocol, extractor, seed)
    else:
        watch(stream, observers, batch_size=batch_size, processes=processes, what="generated images", progress=progress)
    if classifier is not None and CLASSIFIER_ACCURACY in metrics:
        total = sum(processes.gather_list([int(right)]))
        if processes.is_main:
            rows.append(classifier_row(total / protocol.fakes, classifier, protocol, seed))
    return rows
