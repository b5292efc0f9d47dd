"""Factors on normalised weights, fixed (scaled SN) or learned (gamma), chained after any normalisation."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sngan_cond.constraints.weight_matrices import output_axis

GammaKind = Literal["none", "shared", "per_layer", "per_row"]
GammaStart = Literal["norm", "one"]

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

    Source: Miyato et al. 2018, equation 32.

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
    """Parametrisation that multiplies a weight by the network's one gamma, a scalar."""

    def __init__(self, gamma: nn.Parameter) -> None:
        super().__init__()
        # In a tuple, so that this module does not register it: it would be saved once per layer. Moving the network
        # changes a parameter in place, and deep copies copy the tuple with it, so the reference stays right.
        self._gamma = (gamma,)

    def forward(self, weight: Tensor) -> Tensor:
        """Return gamma * weight."""
        return self._gamma[0] * weight


class Gains:
    """The factors on the normalised weights of a network.

    Args:
        scale: fixed factor, above 0.
        spread: standard deviation of the logarithm of factors drawn once, one for each layer, about their geometric
            mean `scale` (Lin et al. 2021, appendix K.1, which does not say how they were drawn); 0 gives every layer
            `scale`.
        seed: of that draw.
        gamma: learned factor: "none", one "shared" by all layers, one "per_layer", or one "per_row".
        start: where gamma starts. "norm": at what the weight was divided by, so that the weight is unchanged at first
            (source/links/sn_convolution_2d.py of pfnet-research/sngan_projection); a shared gamma at the geometric mean
            of the layers' norms, which leaves the product of all layers' norms unchanged. "one": at 1 (fjxmlzn/BSN,
            which also multiplies the biases; here they stay).
    """

    def __init__(
        self,
        *,
        scale: float = 1.0,
        spread: float = 0.0,
        seed: int = 0,
        gamma: GammaKind = "none",
        start: GammaStart = "norm",
    ) -> None:
        self.scale = scale
        self.spread = spread
        self.seed = seed
        self.gamma = gamma
        self.start = start

    @property
    def asks_norms(self) -> bool:
        """Whether `attach` wants to know what each weight was divided by."""
        return self.gamma != "none" and self.start == "norm"

    def attach(self, network: nn.Module, layers: Sequence[tuple[nn.Module, Tensor | None]]) -> None:
        """Chain the factors after the normalisations, in place.

        Args:
            network: gets the shared gamma.
            layers: every normalised layer, and what its weight was divided by: a scalar, (rows,) for "per_row", or
                None where `asks_norms` is false.
        """
        if self.gamma == "shared":
            gamma = nn.Parameter(torch.tensor(self._shared_start([norm for _, norm in layers])))
            network.register_parameter(SHARED_GAMMA, gamma)
        for (layer, norm), factor in zip(layers, self._factors(len(layers)), strict=True):
            if factor != 1:
                parametrize.register_parametrization(layer, "weight", FixedGain(factor), unsafe=True)
            if self.gamma == "shared":
                parametrize.register_parametrization(layer, "weight", SharedGain(gamma), unsafe=True)
            elif self.gamma != "none":
                start = self._start(layer, norm)
                parametrize.register_parametrization(layer, "weight", LearnedGain(start), unsafe=True)

    def _factors(self, count: int) -> list[float]:
        if not self.spread:
            return [self.scale] * count
        # The factors are not saved: whoever builds the network again draws the same ones from the seed.
        logs = self.spread * torch.randn(count, generator=torch.Generator().manual_seed(self.seed), dtype=torch.float64)
        factors: list[float] = (self.scale * (logs - logs.mean()).exp()).tolist()
        return factors

    def _shared_start(self, norms: Sequence[Tensor | None]) -> float:
        values = [float(norm) for norm in norms if norm is not None]
        return math.exp(sum(math.log(value) for value in values) / len(values)) if values else 1.0

    def _start(self, layer: nn.Module, norm: Tensor | None) -> Tensor:
        raw = layer.get_submodule("parametrizations.weight").original
        assert isinstance(raw, Tensor)
        start = torch.ones((), dtype=raw.dtype, device=raw.device) if norm is None else norm
        if self.gamma == "per_layer":
            return start.reshape(())
        axis = output_axis(layer)
        shape = [raw.shape[axis] if i == axis else 1 for i in range(raw.ndim)]
        return start.expand(raw.shape[axis]).reshape(shape)
