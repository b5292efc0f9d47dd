"""Likeness of images within a class: MS-SSIM of pairs, and the spread of features."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from train.evaluation.errors import EvaluationError

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
