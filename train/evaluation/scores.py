"""Scores of features, by torch-fidelity's own functions, and of images within a class: diversity and MS-SSIM."""

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
from train.evaluation.real_features import ReferenceFeatures

Value = tuple[float, float | None]  # with its standard deviation where there is one

# torch-fidelity's defaults, so that its own command gives the same numbers for the same images.
SPLIT_SEED = 2020  # of the order before splitting, and of the subsets
DISTANCE_ROWS = 10_000  # of the matrix of pairwise distances at a time

# MS-SSIM as published (Wang et al. 2003), finest scale first.
_BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW_PX, _SIGMA_PX = 11, 1.5
_REDUCED_WINDOW_PX = 7


def global_scores(
    metrics: tuple[str, ...], fakes: Tensor, logits: Tensor, reference: ReferenceFeatures | None, protocol: Protocol
) -> dict[str, tuple[Value, ...]]:
    """Return the values of each metric over all classes together.

    Args:
        metrics: of CLASS_SCORE, FRECHET, KERNEL, PRECISION_RECALL; others are passed over.
        fakes: (N, D) features for distances, precision and recall.
        logits: (M, K) for the class score.
        reference: None if only the class score is asked for.
    Returns:
        Metric to one value, or two for PRECISION_RECALL.
    """
    values: dict[str, tuple[Value, ...]] = {}
    if CLASS_SCORE in metrics:
        values[CLASS_SCORE] = (class_score(logits, protocol),)
    if reference is None:
        return values
    if FRECHET in metrics:
        values[FRECHET] = ((frechet(fakes, reference.moments), None),)
    if KERNEL in metrics:
        found = kid_features_to_metric(
            fakes,
            reference.features,
            kid_subsets=protocol.kernel_subsets,
            kid_subset_size=protocol.kernel_subset_size,
            rng_seed=SPLIT_SEED,
            verbose=False,
        )
        values[KERNEL] = ((found[KEY_METRIC_KID_MEAN], found[KEY_METRIC_KID_STD]),)
    if PRECISION_RECALL in metrics:
        found = prc_features_to_metric(
            fakes,
            reference.features,
            prc_neighborhood=protocol.neighbours,
            prc_batch_size=DISTANCE_ROWS,
            save_cpu_ram=True,
            verbose=False,
        )
        values[PRECISION_RECALL] = ((found[KEY_METRIC_PRECISION], None), (found[KEY_METRIC_RECALL], None))
    return values


def settings_of(metric: str, protocol: Protocol) -> dict[str, Any]:
    """Return what else decides a metric's value, as it is written beside it."""
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


def class_score(logits: Tensor, protocol: Protocol) -> Value:
    """Return exp of the mean KL divergence of p(y|x) from p(y), its mean and standard deviation over the splits.

    Args:
        logits: (N, K) of generated images.
    """
    found = isc_features_to_metric(logits, splits=protocol.score_splits, shuffle=True, rng_seed=SPLIT_SEED)
    deviation = found[KEY_METRIC_ISC_STD] if protocol.score_splits > 1 else None
    return found[KEY_METRIC_ISC_MEAN], deviation


def frechet(fakes: Tensor, moments: dict[str, np.ndarray]) -> float:
    """Return the squared Frechet distance between Gaussians with the moments of fakes and of reals.

    Args:
        fakes: (N, D) features.
        moments: `mu` (D,) and `sigma` (D, D) of the reals.
    """
    found = fid_statistics_to_metric(fid_features_to_statistics(fakes), moments, verbose=False)
    return float(found[KEY_METRIC_FID])


def diversity(features: Tensor) -> float:
    """Return the root mean square distance between two different samples.

    All N (N - 1) / 2 pairs in O(N D): the mean of |f - f'|^2 over them is twice the sum of the unbiased variances.

    Args:
        features: (N, D), N at least 2.
    """
    return float(torch.sqrt(2 * features.double().var(dim=0, unbiased=True).sum()))


@dataclass(frozen=True)
class MsSsimSettings:
    """Form of MS-SSIM for images of one resolution.

    Args:
        scales: at most 5.
        betas: exponent of each scale, finest first, summing to 1 (to rounding in the published five).
        window_px: side of the Gaussian window.
        sigma_px: its standard deviation.
    """

    scales: int
    betas: tuple[float, ...]
    window_px: int
    sigma_px: float


def ms_ssim_settings(side_px: int) -> MsSsimSettings:
    """Return the published form of MS-SSIM where the images are large enough for it, else the nearest that fits.

    From 176 px: 5 scales and an 11 px window. Below, a 7 px window with its sigma scaled alike (as in TensorFlow's
    implementation, with which Odena et al. 2017 measured), and as many scales as leave the window room at the coarsest:
    5 at 128 px, 4 at 64, 3 at 32. The exponents of fewer scales are divided by their sum.

    Args:
        side_px: of the images, from 16.
    Raises:
        EvaluationError: if the images are smaller.
    """
    for window, scales in ((_WINDOW_PX, 5), *((_REDUCED_WINDOW_PX, scales) for scales in (5, 4, 3, 2))):
        # Two limits to the window: torchmetrics' own, side / (scales - 1)^2, and the coarsest scale's side.
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
