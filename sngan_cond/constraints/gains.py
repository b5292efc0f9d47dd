"""Factors on normalised weights, fixed (scaled SN) or learned (gamma), chained after any normalisation."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sngan_cond.constraints.config import ConstraintConfig
from sngan_cond.constraints.weight_matrices import output_axis, raw_weight

# The shared gamma is a parameter of the whole network, to which the layers' parametrisations refer.
SHARED_GAMMA = "shared_gamma"


class FixedGain(nn.Module):
    """Parametrisation that multiplies a weight by a constant. Source: Lin et al. 2021, section 5.2."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, weight: Tensor) -> Tensor:
        """Return scale * weight."""
        return weight * self.scale


class LearnedGain(nn.Module):
    """Parametrisation that multiplies a weight by gamma, one number for all of it or one per row.

    Source: Miyato et al. 2018, equation 32; per row Salimans and Kingma 2016.

    Args:
        start: initial gamma, of a shape that broadcasts against the weight.
    """

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.gamma = nn.Parameter(start.clone())

    def forward(self, weight: Tensor) -> Tensor:
        """Return gamma * weight."""
        return self.gamma * weight


class SharedGain(nn.Module):
    """Parametrisation that multiplies a weight, or a bias, by a gamma that is kept elsewhere, a scalar."""

    def __init__(self, gamma: nn.Parameter) -> None:
        super().__init__()
        # In a tuple, so that this module does not register it: it would be saved once per layer. Moving the network
        # changes a parameter in place, and deep copies copy the tuple with it, so the reference stays right.
        self._gamma = (gamma,)

    def forward(self, values: Tensor) -> Tensor:
        """Return gamma * values."""
        return self._gamma[0] * values


def attach_gains(
    network: nn.Module, layers: Sequence[tuple[nn.Module, Callable[[Tensor], Tensor]]], config: ConstraintConfig
) -> None:
    """Chain the factors after the normalisations, in place.

    Args:
        network: gets the shared gamma.
        layers: every normalised one, and what divides its raw weight: a scalar, or (rows,) for kind "weight".
    """
    for (layer, _), factor in zip(layers, _factors(len(layers), config), strict=True):
        if factor != 1:
            parametrize.register_parametrization(layer, "weight", FixedGain(factor), unsafe=True)
    if config.gamma == "none":
        return
    starts = [_start(layer, norm, config) for layer, norm in layers]
    if config.gamma == "shared":
        # The geometric mean of the layers' norms leaves the product of all layers' norms unchanged.
        mean = math.exp(sum(math.log(float(start)) for start in starts) / max(len(starts), 1))
        network.register_parameter(SHARED_GAMMA, nn.Parameter(torch.tensor(mean)))
    for (layer, _), start in zip(layers, starts, strict=True):
        gain = SharedGain(network.get_parameter(SHARED_GAMMA)) if config.gamma == "shared" else LearnedGain(start)
        parametrize.register_parametrization(layer, "weight", gain, unsafe=True)
        if config.gamma_biases and getattr(layer, "bias", None) is not None:
            gamma = gain.gamma if isinstance(gain, LearnedGain) else network.get_parameter(SHARED_GAMMA)
            parametrize.register_parametrization(layer, "bias", SharedGain(gamma), unsafe=True)


def _factors(count: int, config: ConstraintConfig) -> list[float]:
    if not config.scale_spread:
        return [config.scale] * count
    # The factors are not saved: whoever builds the network again draws the same ones from the seed. Lin et al. 2021,
    # appendix K.1, does not say how they were drawn.
    rng = torch.Generator().manual_seed(config.scale_seed)
    logs = config.scale_spread * torch.randn(count, generator=rng, dtype=torch.float64)
    factors: list[float] = (config.scale * (logs - logs.mean()).exp()).tolist()
    return factors


def _start(layer: nn.Module, norm: Callable[[Tensor], Tensor], config: ConstraintConfig) -> Tensor:
    weight = raw_weight(layer)
    # The norm leaves the weight as it is at first (source/links/sn_convolution_2d.py of sngan_projection); the code of
    # Lin et al. 2021 (fjxmlzn/BSN) starts at 1.
    start = torch.ones((), dtype=weight.dtype, device=weight.device) if config.gamma_start == "one" else norm(weight)
    if config.gamma == "per_row":
        axis = output_axis(layer)
        return start.expand(weight.shape[axis]).reshape([-1 if i == axis else 1 for i in range(weight.ndim)])
    return start.square().mean().sqrt()  # of rows: keeps the Frobenius norm, as one gamma cannot keep every row's
