"""Scores of features, by torch-fidelity's own functions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from train.errors import EvaluationError
from train.evaluation.protocols import CLASS_SCORE, FRECHET, KERNEL, PRECISION_RECALL, Protocol
from train.evaluation.real_features import RealSide

_BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, finest scale first
_WINDOW_PX, _SIGMA_PX = 11, 1.5  # of the same paper
_REDUCED_WINDOW_PX = 7


@dataclass(frozen=True)
class MsSsimSettings:
    """Form of MS-SSIM that images of a side allow.

    Args:
        scales: number of scales, at most 5.
        betas: weight of each scale, finest first, summing to 1 (to rounding in the published five).
        window_px: side of the Gaussian window.
        sigma_px: its standard deviation.
    """

    scales: int
    betas: tuple[float, ...]
    window_px: int
    sigma_px: float


def ms_ssim_settings(side_px: int) -> MsSsimSettings:
    """Return the form of MS-SSIM for a side: the published one where it fits, else the nearest that does.

    From 176 px: 5 scales and an 11 px window. Below, a 7 px window, its sigma scaled alike (as in TensorFlow's
    implementation, with which Odena et al. 2017 measured), and as many scales as leave it room at the coarsest: 5 at
    128 px, 4 at 64, 3 at 32; the weights of the scales left are divided by their sum.

    Args:
        side_px: of the images, from 16.
    Raises:
        EvaluationError: if the images are smaller.
    """
    for window, scales in ((_WINDOW_PX, 5), *((_REDUCED_WINDOW_PX, scales) for scales in (5, 4, 3, 2))):
        # The library asks for room for the window at side / (scales - 1)^2; the coarsest scale is side / 2^(scales-1).
        if side_px // max((scales - 1) ** 2, 1 << (scales - 1)) >= window:
            betas = _BETAS if scales == 5 else tuple(beta / sum(_BETAS[:scales]) for beta in _BETAS[:scales])
            return MsSsimSettings(scales, betas, window, _SIGMA_PX * window / _WINDOW_PX)
    raise EvaluationError(f"ms_ssim at {side_px} px: images from 16 px are allowed")


def ms_ssim(first: Tensor, second: Tensor) -> Tensor:
    """Return the similarity of each pair of images.

    Args:
        first: (N, 3, R, R) uint8.
        second: (N, 3, R, R) uint8.
    Returns:
        (N,) float32 in [0, 1]; 1 for equal images. Negative terms count as 0.
    """
    settings = ms_ssim_settings(first.shape[-1])
    similarity = multiscale_structural_similarity_index_measure(
        first.float(),
        second.float(),
        gaussian_kernel=True,
        sigma=settings.sigma_px,
        kernel_size=settings.window_px,
        reduction="none",
        data_range=255.0,
        betas=settings.betas,
        normalize="relu",
    )
    assert isinstance(similarity, Tensor)
    return similarity


def diversity(features: Tensor) -> float:
    """Return the root mean square distance between two different samples.

    Over all pairs at once: the mean of |f - f'|^2 is twice the sum of the features' unbiased variances.

    Args:
        features: (N, D), N at least 2.
    """
    return float(torch.sqrt(2 * features.double().var(dim=0, unbiased=True).sum()))


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
