"""`metrics.json`: every score with the protocol, counts, seeds, extractor and data behind it."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from sngan_cond.networks.generator import Generator
from train.errors import EvaluationError
from train.evaluation.classes import ClassResult
from train.evaluation.job import Evaluation
from train.evaluation.metrics import SPLIT_SEED, Metric, Value
from train.evaluation.score import Scored
from train.evaluation.streams import REALS_SEED
from train.files import write_text_atomically
from train.run.provenance import versions, without_folders

WORST = 10  # classes listed apart
# Those that take part in a score.
_PACKAGES = ("sngan-cond", "torch", "torchvision", "torch-fidelity", "torchmetrics", "timm", "numpy", "accelerate")


@dataclass(frozen=True)
class Report:
    """Scores and everything that decided them.

    Args:
        metrics: a row for each score: name, value, std, std_over, metric, protocol, real_count, fake_count, seed,
            extractor, extractor_sha256, settings, where a reader must be cautioned remark, and what else a metric
            tells: for scores within classes, classes and worst_classes; over several sample sets, sample_sets.
        provenance: what all rows have in common: protocol, seeds, model, data set, extractor, versions.
    """

    metrics: list[dict[str, Any]]
    provenance: dict[str, Any]

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            EvaluationError: if it cannot be written.
        """
        content = {"metrics": self.metrics, **self.provenance}
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        try:
            write_text_atomically(path, text)
        except OSError as error:
            raise EvaluationError(f"{path}: cannot be written ({error.strerror})") from error

    def lines(self) -> list[str]:
        """Return one line for each score, as the command prints them, and one for each remark."""
        width = max(len(row["name"]) for row in self.metrics)
        scores = [
            f"{row['name']:<{width}}  {number(row)}  protocol {row['protocol']}, {row['fake_count']:,} generated, "
            f"{row['real_count']:,} real, extractor {row['extractor']}"
            for row in self.metrics
        ]
        return scores + [f"{row['name']}: {row['remark']}" for row in self.metrics if "remark" in row]


def number(row: dict[str, Any]) -> str:
    """Return a score's value, with its standard deviation, and what that is over, where there is one."""
    over = f" over {row['std_over']}" if row.get("std_over") else ""  # which rows stored earlier do not say
    deviation = "" if row.get("std") is None else f" ± {row['std']:.3g}{over}"
    return f"{row['value']:.6g}{deviation}"


def rows_of_all(job: Evaluation, metrics: Sequence[Metric], found: dict[str, Scored]) -> list[dict[str, Any]]:
    """Return the rows of scores over all classes together: one for each value of each metric."""
    rows = []
    for metric in metrics:
        fakes, reals = metric.count(job.protocol), job.protocol.reals
        remark = metric.remark(job, fakes, reals)
        # Of five classes or fewer, a top-5 accuracy means nothing: the last names may be left over.
        for name, value in zip(metric.names(job.extractor), found[metric.key].values, strict=False):
            over = metric.std_over(job)
            row = _row(job, metric, name, value, fakes=fakes, reals=reals, std_over=over, remark=remark)
            rows.append({**row, **found[metric.key].details})
    return rows


def row_of_classes(job: Evaluation, metric: Metric, results: Sequence[ClassResult]) -> dict[str, Any]:
    """Return the row of a score within classes: the mean over classes, each class, and the worst ten.

    Args:
        results: one a class, in label order.
    """
    values = [result.values[metric.key] for result in results]
    (name,) = metric.names(job.extractor)
    fewest = min(result.fakes for result in results), min(result.reals for result in results)
    row = _row(
        job,
        metric,
        name,
        (float(np.mean(values)), float(np.std(values))),
        fakes=len(results) * metric.count(job.protocol),
        reals=sum(result.reals for result in results),
        std_over=f"{len(results)} classes",
        remark=metric.remark(job, *fewest),
        labels="each class in turn",
    )
    worst = sorted(results, key=lambda result: result.values[metric.key], reverse=not metric.lowest_is_worst)[:WORST]
    row["worst_classes"] = [_class_entry(result, metric) for result in worst]
    row["classes"] = [_class_entry(result, metric) for result in results]
    return row


def _class_entry(result: ClassResult, metric: Metric) -> dict[str, Any]:
    entry: dict[str, Any] = {"label": result.label, "name": result.name, "value": result.values[metric.key]}
    if metric.key in result.stds:
        entry["std"] = result.stds[metric.key]  # over the pairs
    if metric.compares:
        entry["real_count"] = result.reals
    return entry


def _row(
    job: Evaluation,
    metric: Metric,
    name: str,
    value: Value,
    *,
    fakes: int,
    reals: int,
    std_over: str | None,
    remark: str | None,
    **settings: str,
) -> dict[str, Any]:
    source = job.sources[metric.source]
    row = {
        "name": name,
        "value": value[0],
        "std": value[1],
        "std_over": None if value[1] is None else std_over,
        "metric": metric.key,
        "protocol": job.protocol.name,
        "real_count": reals if metric.compares else 0,
        "fake_count": fakes,
        "seed": job.seed,
        "extractor": source.name,
        "extractor_sha256": source.sha256,
        "settings": {"labels": job.protocol.labels, **metric.settings(job), **settings},
    }
    return row if remark is None else {**row, "remark": remark}


def check_finite(rows: list[dict[str, Any]]) -> None:
    """Raise an EvaluationError that names the first score that is not finite, if there is one."""
    for row in rows:
        if not math.isfinite(row["value"]):
            raise EvaluationError(
                f"{row['name']} is {row['value']}: {row['fake_count']} generated and {row['real_count']} real images "
                "give no finite value; more images are needed"
            )


def provenance(job: Evaluation, generator: Generator, model: str | None) -> dict[str, Any]:
    """Return everything that decides the scores, as it is written beside them.

    Args:
        model: the generator's name.
    """
    dataset, extractor = job.dataset, job.extractor
    of_data = ("source", "split", "resolution", "count", "preparation", "sha256")
    of_extractor = ("name", "sha256", "resize", "layer", "score_layer", "is_published")
    return {
        "protocol": asdict(job.protocol),
        "seeds": {
            "latents_and_labels": job.seed,
            "sample_sets": job.sample_sets,
            "choice_of_reals": REALS_SEED,
            "splits_and_subsets": SPLIT_SEED,
        },
        "truncation": job.truncation,
        "model": {
            "name": model,
            "weights_sha256": weights_sha256(generator),
            "resolution": generator.config.resolution,
            "num_classes": generator.config.num_classes,
        },
        "dataset": {
            "folder": dataset.folder.name,
            "num_classes": dataset.num_classes,
            **without_folders({name: getattr(dataset.info, name) for name in of_data}),
        },
        "extractor": extractor and {name: getattr(extractor, name) for name in of_extractor},
        "versions": versions(*_PACKAGES),
    }


def weights_sha256(network: nn.Module) -> str:
    """Return a hexadecimal SHA-256 of a network's parameters and buffers, the same on every device.

    Names, types and shapes are hashed too, for equal bytes may belong to other tensors.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
