"""Multi-scale structural similarity (Wang et al. 2003): which form of it fits images of one size."""

from dataclasses import dataclass

from train.errors import EvaluationError

# As published, finest scale first.
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW_PX, _SIGMA_PX = 11, 1.5
_REDUCED_WINDOW_PX = 7


@dataclass(frozen=True)
class MsSsimForm:
    """Form of MS-SSIM for images of one resolution.

    Args:
        weights: exponent of each scale, finest first, summing to 1 (to rounding in the published five).
        window_px: side of the Gaussian window.
        sigma_px: its standard deviation.
    """

    scales: int
    weights: tuple[float, ...]
    window_px: int
    sigma_px: float


def ms_ssim_form(side_px: int) -> MsSsimForm:
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
            weights = (
                _WEIGHTS if scales == 5 else tuple(weight / sum(_WEIGHTS[:scales]) for weight in _WEIGHTS[:scales])
            )
            return MsSsimForm(scales, weights, window, _SIGMA_PX * window / _WINDOW_PX)
    raise EvaluationError(f"ms_ssim at {side_px} px: images from 16 px are allowed")
