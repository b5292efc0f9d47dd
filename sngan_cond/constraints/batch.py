"""All power iterations of a network at once, before each of its forward passes."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sngan_cond.constraints.layers import raw_weight
from sngan_cond.constraints.spectral import SpectralNormalization
from sngan_cond.fast.spectral import power_iteration, power_iterations


class BatchedPowerIterations:
    """Makes every forward pass of a network iterate for all its spectrally normalised weights in a few kernels.

    What is computed and stored stays the same, layer by layer: a layer that a pass does not use keeps its u. The state
    changes outside of the layers' own forward passes, which can then be compiled.
    """

    def __init__(self) -> None:
        self._made: list[tuple[SpectralNormalization, Tensor]] = []

    def attach(self, network: nn.Module) -> None:
        """Start doing so.

        Args:
            network: with its constraint attached, in place. Other parametrisations than the plain one are left alone.
        """
        network.register_forward_pre_hook(self._before)
        network.register_forward_hook(self._after, always_call=True)

    @torch.no_grad()
    def iterate(self, network: nn.Module) -> None:
        """Iterate now; each layer's next use takes its result."""
        groups: dict[tuple[int, bool], list[tuple[SpectralNormalization, Tensor]]] = {}
        for layer in network.modules():
            if parametrize.is_parametrized(layer, "weight"):
                normalisation = layer.get_submodule("parametrizations.weight.0")
                if isinstance(normalisation, SpectralNormalization):
                    weight = raw_weight(layer)
                    matrix = normalisation.matrix(weight)
                    in_place = matrix.data_ptr() == weight.data_ptr()  # a copy lies elsewhere each time
                    groups.setdefault((normalisation.iterations, in_place), []).append((normalisation, matrix))
        self._made = []
        for (rounds, in_place), group in groups.items():
            matrices, us = [matrix for _, matrix in group], [normalisation.u for normalisation, _ in group]
            if in_place:
                results = power_iterations(matrices, us, rounds)
            else:
                results = [power_iteration(matrix, u, rounds) for matrix, u in zip(matrices, us, strict=True)]
            for (normalisation, _), result in zip(group, results, strict=True):
                normalisation.ready = result
                self._made.append((normalisation, result[0]))

    @torch.no_grad()
    def store(self) -> None:
        """Store u of the layers that were used, where their mode says so, and drop what was not used."""
        used = [(layer.u, u) for layer, u in self._made if layer.ready is None and layer.stores]
        if used:
            torch._foreach_copy_([kept for kept, _ in used], [new for _, new in used])
        for layer, _ in self._made:
            layer.ready = None
        self._made = []

    def _before(self, network: nn.Module, _arguments: object) -> None:
        self.iterate(network)

    def _after(self, _network: nn.Module, _arguments: object, _output: object) -> None:
        self.store()
