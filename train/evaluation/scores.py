"""Scores of features, by torch-fidelity's own functions."""

from typing import Any

import numpy as np
from torch import Tensor
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

from train.evaluation.protocols import CLASS_SCORE, FRECHET, KERNEL, PRECISION_RECALL, Protocol
from train.evaluation.real_side import RealSide

SPLIT_SEED = 2020  # torch-fidelity's own, of the order before splitting and of the subsets
DISTANCE_ROWS = 10_000  # torch-fidelity's own

Value = tuple[float, float | None]  # and its standard deviation where there is one


def class_score(logits: Tensor, protocol: Protocol) -> Value:
    """Return exp of the mean KL divergence of p(y|x) from p(y), mean and deviation over the splits.

    Args:
        logits: (N, K) of generated images.
        protocol: number of splits.
    """
    found = isc_features_to_metric(logits, splits=protocol.score_splits, shuffle=True, rng_seed=SPLIT_SEED)
    deviation = found[KEY_METRIC_ISC_STD] if protocol.score_splits > 1 else None
    return found[KEY_METRIC_ISC_MEAN], deviation


def frechet(fakes: Tensor, moments: dict[str, np.ndarray]) -> float:
    """Return the squared Frechet distance between Gaussians with the moments of fakes and of reals.

    Args:
        fakes: (N, D) features.
        moments: of the real side.
    """
    found = fid_statistics_to_metric(fid_features_to_statistics(fakes), moments, verbose=False)
    return float(found[KEY_METRIC_FID])


def global_scores(
    metrics: tuple[str, ...], fakes: Tensor, logits: Tensor, real: RealSide | None, protocol: Protocol
) -> dict[str, tuple[Value, ...]]:
    """Return the scores of a whole stream of fakes.

    Args:
        metrics: of CLASS_SCORE, FRECHET, KERNEL, PRECISION_RECALL.
        fakes: (N, D) features for distances, precision and recall.
        logits: (M, K) for the class score.
        real: the real side; None if nothing asks for one.
        protocol: splits, subsets and neighbours.
    Returns:
        Metric to its values.
    """
    values: dict[str, tuple[Value, ...]] = {}
    if CLASS_SCORE in metrics:
        values[CLASS_SCORE] = (class_score(logits, protocol),)
    if real is None:
        return values
    if FRECHET in metrics:
        values[FRECHET] = ((frechet(fakes, real.moments), None),)
    if KERNEL in metrics:
        found = kid_features_to_metric(
            fakes,
            real.features,
            kid_subsets=protocol.kernel_subsets,
            kid_subset_size=protocol.kernel_subset_size,
            rng_seed=SPLIT_SEED,
            verbose=False,
        )
        values[KERNEL] = ((found[KEY_METRIC_KID_MEAN], found[KEY_METRIC_KID_STD]),)
    if PRECISION_RECALL in metrics:
        found = prc_features_to_metric(
            fakes,
            real.features,
            prc_neighborhood=protocol.neighbours,
            prc_batch_size=DISTANCE_ROWS,
            save_cpu_ram=True,
            verbose=False,
        )
        values[PRECISION_RECALL] = ((found[KEY_METRIC_PRECISION], None), (found[KEY_METRIC_RECALL], None))
    return values


def settings_of(metric: str, protocol: Protocol) -> dict[str, Any]:
    """Return what else decides a metric's value, to be written beside it."""
    if metric == CLASS_SCORE:
        return {"splits": protocol.score_splits, "shuffled": True, "split_seed": SPLIT_SEED}
    if metric == KERNEL:
        return {
            "subsets": protocol.kernel_subsets,
            "subset_size": protocol.kernel_subset_size,
            "subset_seed": SPLIT_SEED,
            "kernel": "polynomial, degree 3, gamma 1/D, coefficient 1",
        }
    if metric == PRECISION_RECALL:
        return {"neighbours": protocol.neighbours}
    return {}
