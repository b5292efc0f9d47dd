"""The one path to a score: the images of a group, what is read of them, and the values of its metrics."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sngan_cond.networks.generator import Generator
from train.evaluation.distributed import Processes
from train.evaluation.features import extract
from train.evaluation.job import Evaluation
from train.evaluation.metrics import Metric
from train.evaluation.real_features import reference_features
from train.evaluation.scores import Measured, Values
from train.evaluation.streams import FakeStream, draw_labels


@dataclass(frozen=True)
class Group:
    """Generated images that are scored together.

    Args:
        label: of the class whose images these are; None for images of all classes.
        processes: that share the images out. All share those of all classes; of the classes, each takes whole ones.
    """

    label: int | None
    stream: FakeStream
    processes: Processes


def group_of(job: Evaluation, generator: Generator, metrics: Sequence[Metric], label: int | None = None) -> Group:
    """Return the group of all classes, or of one; one stream, as long as the metrics need, serves them all."""
    count = max(metric.count(job.protocol) for metric in metrics)
    if label is None:
        labels = draw_labels(count, generator.config.num_classes, job.protocol.labels, job.seed)
        part, processes = "all", job.processes
    else:
        labels, part, processes = torch.full((count,), label), f"class {label}", Processes()
    stream = FakeStream(generator, labels, count, seed=job.seed, part=part, truncation=job.truncation)
    return Group(label, stream, processes)


def score(job: Evaluation, group: Group, metrics: Sequence[Metric]) -> dict[str, Values]:
    """Score a group; every one of its processes must call.

    Returns:
        Values of each metric by its key; nothing on other processes than the main one.
    Raises:
        EvaluationError: if an image or a feature is not finite, on any process.
    """
    counts: dict[str, int] = {}
    for metric in metrics:
        counts[metric.source] = max(metric.count(job.protocol), counts.get(metric.source, 0))
    rows = extract(
        group.stream,
        [(job.sources[source], count) for source, count in counts.items()],
        batch_size=job.batch_size,
        processes=group.processes,
        what="generated images" if group.label is None else "images",
        progress=job.progress and group.label is None,
    )
    compares = any(metric.compares for metric in metrics)
    real = reference_features(job, group.label, group.processes) if compares else None
    if not group.processes.is_main:
        return {}
    if group.stream.labels is not None:
        rows["labels"] = group.stream.labels
    values = {}
    for metric in metrics:
        first = {name: found[: metric.count(job.protocol)] for name, found in rows.items()}
        values[metric.key] = metric.values(Measured(protocol=job.protocol, real=real, **first))
    return values
