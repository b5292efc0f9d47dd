"""The rows of a report: each score with the conditions that make it comparable."""

from collections.abc import Sequence
from typing import Any

import numpy as np

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
from train.evaluation.scores import Value, settings_of
from train.evaluation.similarity import ms_ssim_settings

WORST = 10
PIXELS = "none (pixels)"


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


def global_rows(
    scores: dict[str, tuple[Value, ...]], protocol: Protocol, extractor: Extractor, seed: int
) -> list[dict[str, Any]]:
    """Return the rows of scores over all classes together.

    Args:
        scores: metric to its values.
        protocol: they were measured under.
        extractor: they were measured with.
        seed: of the evaluation.
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


def classifier_row(accuracy: float, classifier: LoadedClassifier, protocol: Protocol, seed: int) -> dict[str, Any]:
    """Return the row of the share of samples that a classifier takes for their class.

    Args:
        accuracy: the share.
        classifier: who judged.
        protocol: it was measured under.
        seed: of the evaluation.
    """
    facts = classifier.facts
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
        settings={"accuracy_on_real_test_images": facts.test_accuracy, "test_images": facts.test_count},
    )


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
        results: one a class.
        metrics: that were measured.
        protocol: they were measured under.
        extractor: they were measured with; None if only MS-SSIM was.
        seed: of the evaluation.
        side_px: of the images.
    """
    rows = []
    for metric in metrics:
        values = [result.values[metric] for result in results]
        if metric == MS_SSIM:
            form = ms_ssim_settings(side_px)
            name, used, sha256 = "intra_ms_ssim", PIXELS, None
            settings: dict[str, Any] = {
                "pairs_per_class": protocol.pairs_per_class,
                "scales": form.scales,
                "weights": list(form.betas),
                "window_px": form.window_px,
                "sigma_px": form.sigma_px,
            }
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
        # Low diversity is bad; distances and likeness are bad when they are high.
        worst = sorted(results, key=lambda result: result.values[metric], reverse=metric != DIVERSITY)[:WORST]
        row["worst_classes"] = [_class_entry(result, metric) for result in worst]
        row["classes"] = [_class_entry(result, metric) for result in results]
        rows.append(row)
    return rows


def _class_entry(result: ClassResult, metric: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"label": result.label, "name": result.name, "value": result.values[metric]}
    if metric in result.stds:
        entry["std"] = result.stds[metric]  # over the pairs
    if metric == INTRA_FRECHET:
        entry["real_count"] = result.reals
    return entry
