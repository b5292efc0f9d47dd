"""The one path to a score: the images of a group, what is read of them, and the values of its metrics."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sngan_cond.networks.generator import Generator
from train.evaluation.distributed import Processes
from train.evaluation.features import extract
from train.evaluation.job import Evaluation
from train.evaluation.measured import Measured, Values
from train.evaluation.metrics import Metric
from train.evaluation.real_features import real_rows
from train.evaluation.streams import FakeStream, Group, draw_labels, real_indices


class Scored(NamedTuple):
    """What a metric finds: a value for each of its names, and what else its rows say."""

    values: Values
    details: dict[str, Any]


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


def score(job: Evaluation, group: Group, metrics: Sequence[Metric]) -> dict[str, Scored]:
    """Score a group; every one of its processes must call.

    Returns:
        What each metric finds by its key; nothing on other processes than the main one.
    Raises:
        EvaluationError: if an image or a feature is not finite, on any process.
    """
    counts: dict[str, int] = {}
    for metric in metrics:
        counts[metric.source] = max(metric.count(job.protocol), counts.get(metric.source, 0))
    fakes = extract(
        group.stream,
        [(job.sources[source], count) for source, count in counts.items()],
        batch_size=job.batch_size,
        processes=group.processes,
        what="generated images" if group.label is None else "images",
        progress=job.progress and group.label is None,
    )
    reals: dict[str, Tensor] = {}
    for source in dict.fromkeys(metric.source for metric in metrics if metric.compares):
        reals |= real_rows(job, group, source)
    if reals:
        reals["indices"] = torch.from_numpy(real_indices(job.dataset, job.reals(group.label), group.label))
    if not group.processes.is_main:
        return {}
    if group.stream.labels is not None:
        fakes["labels"] = group.stream.labels.to(group.stream.device)
    found = {}
    for metric in metrics:
        first = {name: rows[: metric.count(job.protocol)] for name, rows in fakes.items()}
        measured = Measured(job.protocol, first, reals, test=job.test, seed=job.seed, progress=job.progress)
        found[metric.key] = Scored(metric.values(measured), metric.details(measured))
    return found
