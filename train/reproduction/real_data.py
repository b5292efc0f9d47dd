"""Scores of real images, in the place of generated ones: the rows of real data of the papers' tables."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics

from train.data.dataset import PreparedDataset
from train.data.info import INFO_NAME
from train.errors import EvaluationError
from train.evaluation.features import extract
from train.evaluation.job import Evaluation
from train.evaluation.measured import Measured
from train.evaluation.streams import RealStream, real_indices
from train.run.numerics import exact_float32

OTHERS = "real images against others of the same set"
UNSEEN = "real images against those of the test split"


def score_real_images(job: Evaluation, test_split: Path) -> list[dict[str, Any]]:
    """Score a data set's own images as a generator's are scored; all metrics are of the extractor's features.

    The papers do not say which images they compared. Here no image is on both sides of a distance: the first is the
    protocol's number of real images, the second as many others of the same data set as it takes generated ones; where
    the set is too small for both, images of its test split. The class score takes the protocol's number of images, or
    all there are.

    Args:
        test_split: folder of the images prepared from it, which is opened where it is needed.
    Returns:
        Rows as of `train.evaluation.report.Report`: metric, name, value, std, protocol, extractor.
    Raises:
        EvaluationError: if the data set has too few images for two sides, and so has its test split or there is none.
    """
    dataset, protocol, extractor = job.dataset, job.protocol, job.extractor
    assert extractor is not None
    reals = real_indices(dataset, protocol.reals)
    rows = []
    for metric in job.metrics:
        count = metric.count(protocol)
        if not metric.compares:
            second, chosen = dataset, real_indices(dataset, count)
            compared: dict[str, Tensor] = {}
            what = f"{len(chosen):,} real images"
        else:
            second, others, what = _second_side(job, reals, count, test_split)
            chosen = others[np.sort(np.random.default_rng(job.seed).permutation(len(others))[:count])]
            features = _read(job, dataset, reals)["features"]
            moments = fid_features_to_statistics(features.cpu())
            compared = {"features": features, **{key: torch.from_numpy(value) for key, value in moments.items()}}
        (name,) = metric.names(extractor)
        ((value, std),) = metric.values(Measured(protocol, _read(job, second, chosen), compared))
        found = {"metric": metric.key, "name": name, "value": value, "std": std, "extractor": extractor.name}
        rows.append({**found, "protocol": f"{protocol.name}, {what}"})
    return rows


def _second_side(
    job: Evaluation, reals: np.ndarray, count: int, test_split: Path
) -> tuple[PreparedDataset, np.ndarray, str]:
    """Return a data set, the indices (n,) of its images that may be compared with the first side, and what they are."""
    dataset, protocol = job.dataset, job.protocol
    others = np.setdiff1d(np.arange(len(dataset)), reals)
    if len(others) >= count:
        return dataset, others, OTHERS
    few = (
        f"{dataset.folder}: {len(dataset):,} images; {len(reals) + count:,} are needed, for the {protocol.reals:,} and "
        f"the {count:,} others that protocol {protocol.name} compares, or a test split of {count:,}"
    )
    if not (test_split / INFO_NAME).is_file():
        raise EvaluationError(f"{few} in {test_split}, where there is none (train.prepare --split test)")
    test = PreparedDataset.open(test_split)
    if len(test) < count:
        raise EvaluationError(f"{few}, and {test_split} has {len(test):,}")
    return test, np.arange(len(test)), UNSEEN


def _read(job: Evaluation, dataset: PreparedDataset, indices: np.ndarray) -> dict[str, Tensor]:
    assert job.extractor is not None
    stream = RealStream(dataset, indices, job.extractor.device)
    sources = [(job.extractor, len(indices))]
    with exact_float32():
        return extract(stream, sources, batch_size=job.batch_size, processes=job.processes, what="real images")
