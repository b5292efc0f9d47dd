"""Spectral normalisation of a network's weights; the plain form is numerically that of the official code."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sngan_cond.constraints.base import Constraint
from sngan_cond.constraints.gains import Gains
from sngan_cond.constraints.operator import OperatorNormalization, input_shapes
from sngan_cond.constraints.power import IteratesAt, PowerIterated
from sngan_cond.constraints.weight_matrices import (
    largest_singular_value,
    matrix_view,
    normalised_layers,
    output_axis,
    raw_weight,
)
from sngan_cond.fast.power_iteration import divide_by_norm, power_iteration, power_iterations, rows_in_memory

Estimate = Literal["matrix", "bidirectional", "operator"]


class SpectralNormalization(PowerIterated):
    """Parametrisation that divides a weight by the estimate of its largest singular value.

    The weight is seen as a (outputs, rest) matrix; a transposed convolution's outputs are its second axis. State is `u`
    alone, drawn from N(0, 1) and not normalised until used.

    Args:
        layer: layer whose weight is normalised.
        iterations: rounds of power iteration a use.
        iterates_at: "forward" stores u at every use (official code), "update" only when told to (Algorithm 1).
    """

    u: Tensor
    ready: tuple[Tensor, Tensor, Tensor] | None = None  # u, v, sigma of the next use, where made for all layers at once

    def __init__(self, layer: nn.Module, *, iterations: int = 1, iterates_at: IteratesAt = "forward") -> None:
        super().__init__(layer, iterations=iterations, iterates_at=iterates_at)
        weight = layer.weight
        assert isinstance(weight, Tensor)
        self.axis = output_axis(layer)
        self.register_buffer("u", torch.randn(weight.shape[self.axis], dtype=weight.dtype, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        """Return weight / sigma, with u and v held constant in the gradient."""
        with torch.autocast(weight.device.type, enabled=False):
            with torch.no_grad():
                if self.ready is not None:  # who made it stores it
                    (u, v, sigma), self.ready = self.ready, None
                else:
                    u, v, sigma = power_iteration(self.matrix(weight), self.u, self.iterations)
                    if self.stores:
                        self.u.copy_(u)
            if self.axis == 0:
                return divide_by_norm(weight, u, v, sigma)
            return weight / (u @ (matrix_view(weight, self.axis) @ v))

    def matrix(self, weight: Tensor) -> Tensor:
        """See a raw weight as the matrix whose norm is estimated, without gradient and, mostly, without a copy."""
        raw = weight.detach()
        return rows_in_memory(raw) if self.axis == 0 else matrix_view(raw, self.axis)

    @torch.no_grad()
    def iterate(self, weight: Tensor) -> None:
        """Store the result of `iterations` rounds on a raw weight."""
        self.u.copy_(power_iteration(self.matrix(weight), self.u, self.iterations)[0])

    def exact(self, weight: Tensor) -> Tensor:
        """Return the largest singular value of a raw weight."""
        return largest_singular_value(matrix_view(weight.detach(), self.axis))


class BidirectionalNormalization(PowerIterated):
    """Parametrisation that divides a convolution's weight by the mean of the norms of its two matrix views.

    sigma = (|W as outputs x (inputs kH kW)| + |W as inputs x (outputs kH kW)|) / 2, each with its own power iteration.
    Source: 004 section 5.1; "BSN" in no_gamma-CNN/gan/op.py of fjxmlzn/BSN.

    Args:
        layer: convolution, transposed or not; for other layers both views agree and `SpectralNormalization` is used.
        iterations: rounds of power iteration a use, for each view.
        iterates_at: as for `SpectralNormalization`.
    """

    u_out: Tensor
    u_in: Tensor

    def __init__(self, layer: nn.Module, *, iterations: int = 1, iterates_at: IteratesAt = "forward") -> None:
        super().__init__(layer, iterations=iterations, iterates_at=iterates_at)
        weight = layer.weight
        assert isinstance(weight, Tensor)
        self.axis = output_axis(layer)
        for name, axis in (("u_out", self.axis), ("u_in", 1 - self.axis)):
            self.register_buffer(name, torch.randn(weight.shape[axis], dtype=weight.dtype, device=weight.device))

    def _views(self, weight: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        return (matrix_view(weight, self.axis), self.u_out), (matrix_view(weight, 1 - self.axis), self.u_in)

    def forward(self, weight: Tensor) -> Tensor:
        """Return weight / sigma, with all singular vectors held constant in the gradient."""
        with torch.autocast(weight.device.type, enabled=False):
            sigmas = []
            for matrix, state in self._views(weight):
                with torch.no_grad():
                    u, v, _ = power_iteration(matrix.detach(), state, self.iterations)
                    if self.stores:
                        state.copy_(u)
                sigmas.append(u @ (matrix @ v))
            return weight / ((sigmas[0] + sigmas[1]) / 2)

    @torch.no_grad()
    def iterate(self, weight: Tensor) -> None:
        """Store the result of `iterations` rounds on a raw weight, for both views."""
        for matrix, state in self._views(weight):
            state.copy_(power_iteration(matrix, state, self.iterations)[0])

    def exact(self, weight: Tensor) -> Tensor:
        """Return the mean of the two views' largest singular values."""
        (outputs, _), (inputs, _) = self._views(weight.detach())
        return (largest_singular_value(outputs) + largest_singular_value(inputs)) / 2


class SpectralNorm(Constraint):
    """Divides every weight of the network by its largest singular value. Source: 000 section 2.2 and Algorithm 1.

    Args:
        iterations: rounds of power iteration a use.
        iterates_at: "forward" (official code) or "update" (Algorithm 1).
        exclude: names of layers left as they are.
        estimate: whose norm: the weight's as a "matrix" (000), the mean of both views ("bidirectional", 004 section
            5.1), or the layer's as a linear "operator" between feature maps (004's SN_Conv; Farnia et al. 2018).
        gains: what the normalised weights are multiplied by; None for nothing.
    """

    def __init__(
        self,
        *,
        iterations: int = 1,
        iterates_at: IteratesAt = "forward",
        exclude: tuple[str, ...] = (),
        estimate: Estimate = "matrix",
        gains: Gains | None = None,
    ) -> None:
        self.iterations = iterations
        self.iterates_at = iterates_at
        self.exclude = exclude
        self.estimate = estimate
        self.gains = gains

    def attach(self, D: nn.Module) -> None:
        """Parametrise the weights."""
        shapes = input_shapes(D) if self.estimate == "operator" else {}
        attached = []
        for name, layer in normalised_layers(D, self.exclude):
            normalisation = self._normalisation(layer, shapes.get(name))
            start = normalisation.exact(raw_weight(layer)) if self.gains is not None and self.gains.asks_norms else None
            parametrize.register_parametrization(layer, "weight", normalisation, unsafe=True)
            attached.append((layer, start))
        if self.gains is not None:
            self.gains.attach(D, attached)

    def _normalisation(self, layer: nn.Module, input_shape: torch.Size | None) -> PowerIterated:
        if self.estimate == "matrix" or isinstance(layer, nn.Linear | nn.Embedding):
            return SpectralNormalization(layer, iterations=self.iterations, iterates_at=self.iterates_at)
        if self.estimate == "bidirectional":
            return BidirectionalNormalization(layer, iterations=self.iterations, iterates_at=self.iterates_at)
        assert input_shape is not None
        return OperatorNormalization(layer, input_shape, iterations=self.iterations, iterates_at=self.iterates_at)

    def after_step(self, D: nn.Module) -> None:
        """Move the state once an update, where that is when it moves."""
        if self.iterates_at != "update":
            return
        for layer in D.modules():
            if parametrize.is_parametrized(layer, "weight"):
                normalisation = layer.get_submodule("parametrizations.weight.0")
                assert isinstance(normalisation, PowerIterated)
                normalisation.iterate(raw_weight(layer))


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
