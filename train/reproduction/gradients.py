"""Gradients of a discriminator with respect to its layers' weights, as Lin et al. 2021 look at them."""

import math

import torch
from torch import Tensor, nn

from sngan_cond import Discriminator
from sngan_cond.constraints.gains import FixedGain
from sngan_cond.constraints.weight_matrices import normalised_layers


def gradient_norms(D: Discriminator, x: Tensor, y: Tensor | None) -> list[float]:
    """Return the norms of the gradient of D's mean score with respect to each layer's weight, normalised where it is.

    Args:
        D: in evaluation mode; the layers are in its order.
        x: (N, 3, R, R) images.
        y: (N,) labels, or None.
    Source: Lin et al. 2021, section 3.
    """
    with torch.nn.utils.parametrize.cached():
        score = D(x, y).score.mean()
        weights = [layer.weight for _, layer in normalised_layers(D)]
        gradients = torch.autograd.grad(score, weights)
    return [float(gradient.norm()) for gradient in gradients]


def gradient_ratios(D: Discriminator, x: Tensor, y: Tensor | None) -> tuple[float, float]:
    """Measure how nearly the ratios of the layers' gradient norms invert those of their spectral norms.

    They do so exactly in the set of discriminators of equation 2. Each gradient norm is a mean over single images; a
    layer's spectral norm is the factor on its normalised weight.

    Args:
        D: under spectral normalisation, else as for `gradient_norms`, and so are x and y.
    Returns:
        Over all pairs of layers: the root mean square of ln(gradient ratio / inverse norm ratio), 0 on the diagonal of
        Figure 3; and the correlation of the two logarithms, nan where all norms are equal.
    Source: Lin et al. 2021, equation 2, Figures 3, 14 and 15.
    """
    means = torch.tensor(image_gradient_norms(D, x, y), dtype=torch.float64)
    norms = torch.tensor(spectral_factors(D), dtype=torch.float64)
    i, j = torch.combinations(torch.arange(len(means))).T
    gradient_ratio, inverse_norm_ratio = (means[i] / means[j]).log(), (norms[j] / norms[i]).log()
    deviation = (gradient_ratio - inverse_norm_ratio).square().mean().sqrt()
    correlation = torch.corrcoef(torch.stack([gradient_ratio, inverse_norm_ratio]))[0, 1]
    return float(deviation), float(correlation)


def image_gradient_norms(D: Discriminator, x: Tensor, y: Tensor | None) -> list[float]:
    """Return for each layer the mean over single images of what `gradient_norms` returns of one."""
    singles = [gradient_norms(D, x[i : i + 1], None if y is None else y[i : i + 1]) for i in range(len(x))]
    return torch.tensor(singles, dtype=torch.float64).mean(0).tolist()


def spectral_factors(D: Discriminator) -> list[float]:
    """Return for each layer the spectral norm that its constraint sets: the fixed factor on its normalised weight."""
    return [_factor(layer) for _, layer in normalised_layers(D)]


def _factor(layer: nn.Module) -> float:
    return math.prod(part.scale for part in layer.modules() if isinstance(part, FixedGain))
