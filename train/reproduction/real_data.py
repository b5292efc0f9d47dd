"""Scores of real images, in the place of generated ones: the rows of real data of the papers' tables."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics

from train.errors import EvaluationError
from train.evaluation.features import extract
from train.evaluation.job import Evaluation
from train.evaluation.measured import Measured
from train.evaluation.streams import RealStream, real_indices
from train.run.numerics import exact_float32

OTHERS = "real images against others of the same set"


def score_real_images(job: Evaluation) -> list[dict[str, Any]]:
    """Score a data set's own images as a generator's are scored; all metrics are of the extractor's features.

    The papers do not say which images they compared. Here no image is on both sides of a distance: the first is the
    protocol's number of real images, the second as many others of the same data set as it takes generated ones. The
    class score takes the protocol's number of images, or all there are.

    Returns:
        Rows as of `train.evaluation.report.Report`: metric, name, value, std, protocol, extractor.
    Raises:
        EvaluationError: if the data set has too few images for two sides.
    """
    dataset, protocol, extractor = job.dataset, job.protocol, job.extractor
    assert extractor is not None
    reals = real_indices(dataset, protocol.reals)
    others = np.setdiff1d(np.arange(len(dataset)), reals)
    rows = []
    for metric in job.metrics:
        count = metric.count(protocol)
        if not metric.compares:
            chosen = real_indices(dataset, count)
            compared: dict[str, Tensor] = {}
            what = f"{len(chosen):,} real images"
        elif len(others) < count:
            raise EvaluationError(
                f"{dataset.folder}: {len(dataset):,} images; {len(reals) + count:,} are needed, for the "
                f"{protocol.reals:,} and the {count:,} others that protocol {protocol.name} compares"
            )
        else:
            chosen = others[np.sort(np.random.default_rng(job.seed).permutation(len(others))[:count])]
            features = _read(job, reals)["features"]
            moments = fid_features_to_statistics(features.cpu())
            compared = {"features": features, **{key: torch.from_numpy(value) for key, value in moments.items()}}
            what = OTHERS
        (name,) = metric.names(extractor)
        ((value, std),) = metric.values(Measured(protocol, _read(job, chosen), compared))
        found = {"metric": metric.key, "name": name, "value": value, "std": std, "extractor": extractor.name}
        rows.append({**found, "protocol": f"{protocol.name}, {what}"})
    return rows


def _read(job: Evaluation, indices: np.ndarray) -> dict[str, Tensor]:
    assert job.extractor is not None
    stream = RealStream(job.dataset, indices, job.extractor.device)
    sources = [(job.extractor, len(indices))]
    with exact_float32():
        return extract(stream, sources, batch_size=job.batch_size, processes=job.processes, what="real images")
