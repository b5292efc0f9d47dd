"""Spectral normalisation of a network's weights: the constraint, two of its parametrisations, and their batching.

With `estimate="matrix"` the numbers are those of the official code. The third parametrisation is in `operator.py`.
"""

from collections.abc import Iterator
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


class SpectralNorm(Constraint):
    """Divides every weight of a network by the estimate of its spectral norm.

    Source: Miyato et al. 2018, section 2.2 and Algorithm 1.

    Args:
        iterations: as for `PowerIterated`.
        iterates_at: as for `PowerIterated`.
        exclude: names of layers left as they are.
        estimate: whose norm: the weight's as a "matrix" (Miyato et al.), the mean of both views ("bidirectional",
            Lin et al. 2021, section 5.1), or the layer's as an "operator" between feature maps (Farnia et al. 2018).
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
        self.gains = gains or Gains()

    def attach(self, D: nn.Module) -> None:
        """Parametrise the weights."""
        shapes = input_shapes(D) if self.estimate == "operator" else {}
        attached = []
        for name, layer in normalised_layers(D, self.exclude):
            normalisation = self._normalisation(layer, shapes.get(name))
            start = normalisation.exact(raw_weight(layer)) if self.gains.asks_norms else None
            # unsafe: otherwise PyTorch tries the parametrisation out, and that is a use, which moves u.
            parametrize.register_parametrization(layer, "weight", normalisation, unsafe=True)
            attached.append((layer, start))
        self.gains.attach(D, attached)

    def _normalisation(self, layer: nn.Module, input_shape: torch.Size | None) -> PowerIterated:
        if self.estimate == "matrix" or isinstance(layer, nn.Linear | nn.Embedding):
            return SpectralNormalization(layer, iterations=self.iterations, iterates_at=self.iterates_at)
        if self.estimate == "bidirectional":
            return BidirectionalNormalization(layer, iterations=self.iterations, iterates_at=self.iterates_at)
        assert input_shape is not None
        return OperatorNormalization(layer, input_shape, iterations=self.iterations, iterates_at=self.iterates_at)

    def after_step(self, D: nn.Module) -> None:
        """Take the rounds of this update on the weights it has moved, where `iterates_at` is "update"."""
        if self.iterates_at != "update":
            return
        for layer, normalisation in _parametrised(D):
            assert isinstance(normalisation, PowerIterated)
            normalisation.iterate(raw_weight(layer))


class SpectralNormalization(PowerIterated):
    """Parametrisation that divides a weight by the estimate of its largest singular value.

    The weight is seen as a (outputs, rest) matrix; a transposed convolution's outputs are its second axis. The state is
    `u` alone, drawn from N(0, 1) and not normalised until used; v is computed from it in every round.

    Args:
        layer: its weight gives the state's shape and type.
        iterations: as for `PowerIterated`.
        iterates_at: as for `PowerIterated`.
    """

    u: Tensor
    ready: tuple[Tensor, Tensor, Tensor] | None = None  # u, v, sigma of the next use, from `BatchedPowerIterations`

    def __init__(self, layer: nn.Module, *, iterations: int = 1, iterates_at: IteratesAt = "forward") -> None:
        super().__init__(layer, iterations=iterations, iterates_at=iterates_at)
        weight = layer.weight
        assert isinstance(weight, Tensor)
        self.axis = output_axis(layer)
        self.register_buffer("u", torch.randn(weight.shape[self.axis], dtype=weight.dtype, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        """Return weight / sigma, with u and v held constant in the gradient."""
        # Autocast would take these products in bfloat16, and with them sigma and the u that is saved.
        with torch.autocast(weight.device.type, enabled=False):
            with torch.no_grad():
                if self.ready is not None:  # `BatchedPowerIterations` stores its u after the pass
                    (u, v, sigma), self.ready = self.ready, None
                else:
                    u, v, sigma = power_iteration(self.matrix(weight), self.u, self.iterations)
                    if self.stores:
                        self.u.copy_(u)
            # sigma = u W v is differentiated in W alone: d sigma / d W = u v^T. At the true singular vectors that is
            # exact, since sigma is stationary in u and v there; after one round it is what the official code computes.
            # The gradient of W is then equation 12 of Miyato et al. 2018, (g - <g, W / sigma> u v^T) / sigma.
            if self.axis == 0:
                return divide_by_norm(weight, u, v, sigma)
            # The fused division wants every output's weights in one stretch of memory, and in a transposed convolution
            # the outputs are the second axis.
            return weight / (u @ (matrix_view(weight, self.axis) @ v))

    def matrix(self, weight: Tensor) -> Tensor:
        """Return the matrix whose norm is estimated, without gradient, a view of the raw weight where that is possible.

        Its columns lie in the weight's own memory order, which channels-last changes: sigma and u do not depend on it,
        and v is only ever used with this matrix.
        """
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
    Source: Lin et al. 2021, section 5.1; "BSN" in no_gamma-CNN/gan/op.py of fjxmlzn/BSN.

    Args:
        layer: convolution, transposed or not; for other layers both views agree and `SpectralNormalization` is used.
        iterations: as for `PowerIterated`, for each view.
        iterates_at: as for `PowerIterated`.
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
        with torch.autocast(weight.device.type, enabled=False):  # as in `SpectralNormalization`
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


class BatchedPowerIterations:
    """Runs the power iterations of a whole network before each of its forward passes, on a GPU in a few kernels.

    What is computed and stored stays the same, layer by layer. Since u no longer changes inside the pass, the layers
    can be compiled: storing it there, between a pass and its gradient, is what a compiler would have to see as one.
    """

    def __init__(self) -> None:
        self._made: list[tuple[SpectralNormalization, Tensor]] = []

    def attach(self, network: nn.Module) -> None:
        """Add the hooks to a network whose constraint is attached; only `SpectralNormalization` is batched."""
        network.register_forward_pre_hook(self._before)
        # Also after a pass that fails, so that no result made for these weights waits for the next pass.
        network.register_forward_hook(self._after, always_call=True)

    @torch.no_grad()
    def iterate(self, network: nn.Module) -> None:
        """Iterate now, once for each layer; its next use takes the result."""
        groups: dict[tuple[int, bool], list[tuple[SpectralNormalization, Tensor]]] = {}
        for layer, normalisation in _parametrised(network):
            if isinstance(normalisation, SpectralNormalization):
                weight = raw_weight(layer)
                matrix = normalisation.matrix(weight)
                in_place = matrix.data_ptr() == weight.data_ptr()
                groups.setdefault((normalisation.iterations, in_place), []).append((normalisation, matrix))
        self._made = []
        for (rounds, in_place), group in groups.items():
            matrices, us = [matrix for _, matrix in group], [normalisation.u for normalisation, _ in group]
            # The GPU kernels, and a CUDA graph that recorded them, remember the matrices' addresses; one that had to
            # be copied out of its weight lies elsewhere every time.
            if in_place:
                results = power_iterations(matrices, us, rounds)
            else:
                results = [power_iteration(matrix, u, rounds) for matrix, u in zip(matrices, us, strict=True)]
            for (normalisation, _), result in zip(group, results, strict=True):
                normalisation.ready = result
                self._made.append((normalisation, result[0]))

    @torch.no_grad()
    def store(self) -> None:
        """Store u of the layers that were used, where their mode says so, and drop what was not used.

        A layer that a pass leaves out keeps its u, as it would on its own: the projection's embedding without labels.
        """
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


def _parametrised(network: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Yield every layer whose weight is parametrised, with its normalisation, which comes before the gains."""
    for layer in network.modules():
        if parametrize.is_parametrized(layer, "weight"):
            yield layer, layer.get_submodule("parametrizations.weight.0")
