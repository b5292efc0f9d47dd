"""`metrics.json`: every score with the protocol, counts, seeds, extractor and data behind it."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from train.errors import EvaluationError
from train.evaluation.classifier_file import LoadedClassifier
from train.evaluation.extractors import Extractor
from train.evaluation.intra_class import ClassResult
from train.evaluation.protocols import (
    CLASS_SCORE,
    CLASSIFIER_ACCURACY,
    DIVERSITY,
    INTRA_FRECHET,
    MS_SSIM,
    Protocol,
)
from train.evaluation.scores import Value, ms_ssim_settings, settings_of
from train.files import write_text_atomically

WORST = 10  # classes listed apart
PIXELS = "none (pixels)"  # extractor of a score that is computed from images


@dataclass(frozen=True)
class Report:
    """Scores and everything that decided them.

    Args:
        metrics: a row for each score: name, value, std, metric, protocol, real_count, fake_count, seed, extractor,
            extractor_sha256, settings and, for scores within classes, classes and worst_classes.
        provenance: what all rows have in common: protocol, seeds, model, data set, extractor, versions.
    """

    metrics: list[dict[str, Any]]
    provenance: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return what `metrics.json` holds."""
        return {"metrics": self.metrics, **self.provenance}

    def value(self, name: str) -> float:
        """Return the value of a score by its name.

        Raises:
            KeyError: if it was not measured.
        """
        for row in self.metrics:
            if row["name"] == name:
                return float(row["value"])
        raise KeyError(name)

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            EvaluationError: if it cannot be written.
        """
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        try:
            write_text_atomically(path, text)
        except OSError as error:
            raise EvaluationError(f"--out {path}: cannot be written ({error.strerror})") from error

    def lines(self) -> list[str]:
        """Return one line for each score, as the command prints them."""
        width = max(len(row["name"]) for row in self.metrics)
        return [
            f"{row['name']:<{width}}  {number(row)}  protocol {row['protocol']}, {row['fake_count']:,} generated, "
            f"{row['real_count']:,} real, extractor {row['extractor']}"
            for row in self.metrics
        ]


def number(row: dict[str, Any]) -> str:
    """Return a score's value, with its standard deviation where there is one."""
    deviation = "" if row.get("std") is None else f" ± {row['std']:.3g}"
    return f"{row['value']:.6g}{deviation}"


def global_rows(
    scores: dict[str, tuple[Value, ...]], protocol: Protocol, extractor: Extractor, seed: int
) -> list[dict[str, Any]]:
    """Return the rows of scores over all classes together.

    Args:
        scores: metric to its values, as `scores.global_scores` returns them.
    """
    return [
        _row(
            name,
            value,
            metric,
            protocol,
            seed,
            extractor=extractor.name,
            extractor_sha256=extractor.sha256,
            reals=0 if metric == CLASS_SCORE else protocol.reals,
            fakes=protocol.score_fakes if metric == CLASS_SCORE else protocol.fakes,
            settings=settings_of(metric, protocol),
        )
        for metric, values in scores.items()
        for name, value in zip(extractor.score_names(metric), values, strict=True)
    ]


def class_rows(
    results: Sequence[ClassResult],
    metrics: Sequence[str],
    protocol: Protocol,
    extractor: Extractor | None,
    seed: int,
    side_px: int,
) -> list[dict[str, Any]]:
    """Return the rows of scores within classes: the mean over classes, each class, and the worst ten.

    Args:
        results: one a class, in label order.
        extractor: None if MS-SSIM is the only metric.
        side_px: of the images, which decides the form of MS-SSIM.
    """
    rows = []
    for metric in metrics:
        values = [result.values[metric] for result in results]
        if metric == MS_SSIM:
            name, used, sha256 = "intra_ms_ssim", PIXELS, None
            settings = _ms_ssim_form(protocol, side_px)
        else:
            assert extractor is not None
            (name,), used, sha256 = extractor.score_names(metric), extractor.name, extractor.sha256
            settings = {"fakes_per_class": protocol.fakes_per_class, "reals_per_class": protocol.reals_per_class}
        fakes = [2 * protocol.pairs_per_class if metric == MS_SSIM else result.fakes for result in results]
        row = _row(
            name,
            (float(np.mean(values)), float(np.std(values))),
            metric,
            protocol,
            seed,
            extractor=used,
            extractor_sha256=sha256,
            reals=sum(result.reals for result in results) if metric == INTRA_FRECHET else 0,
            fakes=sum(fakes),
            settings={**settings, "labels": "each class in turn", "std_over": "classes"},
        )
        # The worst have the lowest diversity, but the highest distance or similarity.
        worst = sorted(results, key=lambda result: result.values[metric], reverse=metric != DIVERSITY)[:WORST]
        row["worst_classes"] = [_class_entry(result, metric) for result in worst]
        row["classes"] = [_class_entry(result, metric) for result in results]
        rows.append(row)
    return rows


def _ms_ssim_form(protocol: Protocol, side_px: int) -> dict[str, Any]:
    form = ms_ssim_settings(side_px)
    return {
        "pairs_per_class": protocol.pairs_per_class,
        "scales": form.scales,
        "weights": list(form.betas),
        "window_px": form.window_px,
        "sigma_px": form.sigma_px,
    }


def _class_entry(result: ClassResult, metric: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"label": result.label, "name": result.name, "value": result.values[metric]}
    if metric in result.stds:
        entry["std"] = result.stds[metric]  # over the pairs
    if metric == INTRA_FRECHET:
        entry["real_count"] = result.reals
    return entry


def classifier_row(accuracy: float, classifier: LoadedClassifier, protocol: Protocol, seed: int) -> dict[str, Any]:
    """Return the row of the fraction of generated images that a classifier takes for their class, 0 to 1."""
    metadata = classifier.metadata
    return _row(
        CLASSIFIER_ACCURACY,
        (accuracy, None),
        CLASSIFIER_ACCURACY,
        protocol,
        seed,
        extractor="classifier of the data set",
        extractor_sha256=classifier.sha256,
        reals=0,
        fakes=protocol.fakes,
        settings={"accuracy_on_real_test_images": metadata.test_accuracy, "test_images": metadata.test_count},
    )


def _row(
    name: str,
    value: Value,
    metric: str,
    protocol: Protocol,
    seed: int,
    *,
    extractor: str,
    extractor_sha256: str | None,
    reals: int,
    fakes: int,
    settings: dict[str, Any],
) -> dict[str, Any]:
    return {
        "name": name,
        "value": value[0],
        "std": value[1],
        "metric": metric,
        "protocol": protocol.name,
        "real_count": reals,
        "fake_count": fakes,
        "seed": seed,
        "extractor": extractor,
        "extractor_sha256": extractor_sha256,
        "settings": {"labels": protocol.labels, **settings},
    }


def check_finite(rows: list[dict[str, Any]]) -> None:
    """Raise if a score is not finite.

    Raises:
        EvaluationError: naming the first such score.
    """
    for row in rows:
        if not math.isfinite(row["value"]):
            raise EvaluationError(
                f"{row['name']} is {row['value']}: {row['fake_count']} generated and {row['real_count']} real images "
                "give no finite value; more images are needed"
            )


def weights_sha256(network: nn.Module) -> str:
    """Return a hexadecimal SHA-256 of a network's parameters and buffers, the same on every device.

    Names, types and shapes are hashed too, for equal bytes may belong to other tensors.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
