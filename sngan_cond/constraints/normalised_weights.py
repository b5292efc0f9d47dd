"""Weights divided by a norm of theirs, which is read off them anew at every use."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sngan_cond.constraints.config import ConstraintConfig
from sngan_cond.constraints.gains import attach_gains
from sngan_cond.constraints.pickling import let_pickle
from sngan_cond.constraints.spectral import SpectralNormalization, spectral_layers
from sngan_cond.constraints.views import input_shapes, views_of
from sngan_cond.constraints.weight_matrices import normalised_layers, output_axis, raw_weight
from sngan_cond.fast.power_iteration import EPS


class LengthNormalization(nn.Module):
    """Parametrisation that divides a weight by its length over some axes.

    Args:
        axes: all but the outputs' for each row's length (Salimans and Kingma 2016; Miyato et al. 2018, equation 25,
            without multiplier); None, all, for the Frobenius norm (equation 26).
    """

    def __init__(self, axes: list[int] | None = None) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight with rows of length 1, or Frobenius norm 1."""
        lengths: Tensor = torch.linalg.vector_norm(weight, dim=self.axes, keepdim=True)
        return weight / (lengths + EPS)

    @torch.no_grad()
    def exact(self, weight: Tensor) -> Tensor:
        """Return the rows' lengths (rows,), or the Frobenius norm, a scalar."""
        lengths: Tensor = torch.linalg.vector_norm(weight, dim=self.axes)
        return lengths


def _axes_of_an_output(layer: nn.Module) -> list[int]:
    return [axis for axis in range(raw_weight(layer).ndim) if axis != output_axis(layer)]


Normalisation = SpectralNormalization | LengthNormalization

# By kind, each from a layer, the shape of its input where the estimate asks for it, and the configuration.
NORMALISATIONS: dict[str, Callable[[nn.Module, torch.Size | None, ConstraintConfig], Normalisation]] = {
    "spectral": lambda layer, input_shape, config: SpectralNormalization(
        layer,
        views_of(layer, config.estimate, input_shape),
        iterations=config.iterations,
        iterates_at=config.power_iterations_at,
    ),
    "weight": lambda layer, *_: LengthNormalization(_axes_of_an_output(layer)),
    "frobenius": lambda *_: LengthNormalization(),
}


def normalise_weights(network: nn.Module, config: ConstraintConfig) -> None:
    """Parametrise the weights by their normalisation and what it is multiplied by."""
    shapes = input_shapes(network) if config.estimate == "operator" else {}
    attached = []
    for name, layer in normalised_layers(network, config.exclude):
        normalisation = NORMALISATIONS[config.kind](layer, shapes.get(name), config)
        # unsafe: otherwise PyTorch tries the parametrisation out, and that is a use, which moves u.
        parametrize.register_parametrization(layer, "weight", normalisation, unsafe=True)
        attached.append((layer, normalisation.exact))
    attach_gains(network, attached, config)
    for layer, _ in attached:
        let_pickle(layer)


def iterate_after_step(D: nn.Module, config: ConstraintConfig) -> None:
    """Take the rounds of this update on the weights it has moved, where they are taken at updates."""
    if config.power_iterations_at == "update":
        for layer, normalisation in spectral_layers(D):
            normalisation.iterate(raw_weight(layer))


def stands_still_between_steps(config: ConstraintConfig) -> bool:
    """Return whether weights that are used twice between two updates are the same both times: u moves at no use."""
    return config.kind != "spectral" or config.power_iterations_at == "update"
