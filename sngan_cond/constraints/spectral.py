"""Spectral normalisation of a network's weights, and the batching of its power iterations.

With one matrix view a layer (`estimate="matrix"`) the numbers are those of the official code.
"""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sngan_cond.constraints.views import MatrixView, View
from sngan_cond.constraints.weight_matrices import raw_weight
from sngan_cond.fast.power_iteration import PowerIterations, divide_by_norm, power_iteration


class SpectralNormalization(nn.Module):
    """Parametrisation that divides a layer's weight by its spectral norm: the mean of those of its views, as estimated.

    Every use takes `iterations` rounds of power iteration from the state. The state is the left vector of each view,
    drawn from N(0, 1) and not normalised until used; the right ones are computed from it in every round.
    Source: Miyato et al. 2018, section 2.2 and Algorithm 1.

    Args:
        layer: its kind decides when the state is stored.
        views: of `views_of`.
        iterations: rounds per use; 1 in the papers, since the weights move little between uses.
        iterates_at: "forward" stores the result of every use in train mode, and of linear and embedding layers in every
            mode (official code); "update" only that of `iterate`, which is called once per D update (Algorithm 1).
    """

    def __init__(
        self,
        layer: nn.Module,
        views: Mapping[str, View],
        *,
        iterations: int = 1,
        iterates_at: Literal["forward", "update"] = "forward",
    ) -> None:
        super().__init__()
        self.views = dict(views)
        only = self.views.get("u")
        self.only_matrix = only if isinstance(only, MatrixView) else None  # the official code's view
        self.iterations = iterations
        self.iterates_at = iterates_at
        # The official code checks for train mode in its convolutions and nowhere else. Its numbers are reproduced, so
        # scoring images in eval mode moves the state of the score layer and of the embedding too.
        self.stores_always = isinstance(layer, nn.Linear | nn.Embedding)
        # u, v and sigma of each view at the next use, from `BatchedPowerIterations`, which stores u after the pass.
        self.ready: list[tuple[Tensor, Tensor, Tensor]] | None = None
        for name, view in self.views.items():
            self.register_buffer(name, view.start(raw_weight(layer)))

    @property
    def stores(self) -> bool:
        """Whether a use in the present mode stores its result."""
        return self.iterates_at == "forward" and (self.training or self.stores_always)

    def forward(self, weight: Tensor) -> Tensor:
        """Return weight / sigma, with all singular vectors held constant in the gradient."""
        # Autocast, which knows no meta tensors, would take these products in bfloat16, and with them sigma and the u
        # that is saved.
        with nullcontext() if weight.is_meta else torch.autocast(weight.device.type, enabled=False):
            found, self.ready = self.ready, None
            if found is None:
                found = []
                with torch.no_grad():
                    for name, view in self.views.items():
                        state: Tensor = getattr(self, name)
                        found.append(power_iteration(view.matrix(weight.detach()), state, self.iterations))
                        if self.stores and (self.training or _may_change(state)):
                            state.copy_(found[-1][0])
            # sigma = u W v is differentiated in W alone: d sigma / d W = u v^T. At the true singular vectors that is
            # exact, since sigma is stationary in u and v there; after one round it is what the official code computes.
            # The gradient of W is then equation 12 of Miyato et al. 2018, (g - <g, W / sigma> u v^T) / sigma.
            # The fused division wants every output's weights in one stretch of memory, and in a transposed convolution
            # the outputs are the second axis.
            if self.only_matrix and self.only_matrix.in_memory_order:
                return divide_by_norm(weight, *found[0])
            views = zip(self.views.values(), found, strict=True)
            sigmas = [view.sigma(weight, u, v) for view, (u, v, _) in views]
            return weight / (sigmas[0] if len(sigmas) == 1 else torch.stack(sigmas).mean())

    @torch.no_grad()
    def iterate(self, weight: Tensor) -> None:
        """Store the result of `iterations` rounds on a raw weight."""
        for name, view in self.views.items():
            state = self.get_buffer(name)
            state.copy_(power_iteration(view.matrix(weight), state, self.iterations)[0])

    @torch.no_grad()
    def exact(self, weight: Tensor) -> Tensor:
        """Return what sigma converges to for a raw weight that stands still, a scalar; the state stays."""
        return torch.stack([view.exact(weight, self.get_buffer(name)) for name, view in self.views.items()]).mean()


class BatchedPowerIterations:
    """Runs the power iterations of a whole network before each of its forward passes, on a GPU in a few kernels.

    What is computed and stored stays the same, layer by layer. Since u no longer changes inside the pass, the layers
    can be compiled: storing it there, between a pass and its gradient, is what a compiler would have to see as one.
    """

    def __init__(self) -> None:
        self._made: list[tuple[SpectralNormalization, Tensor]] = []
        self._rounds: dict[int, PowerIterations] = {}  # by their number

    def attach(self, network: nn.Module) -> None:
        """Add the hooks to a network whose constraint is attached; only layers with one matrix view are batched."""
        network.register_forward_pre_hook(self.iterate)
        # Also after a pass that fails, so that no result made for these weights waits for the next pass.
        network.register_forward_hook(self.store, always_call=True)

    @torch.no_grad()
    def iterate(self, network: nn.Module, *_hook: object) -> None:
        """Iterate now, once for each layer; its next use takes the result."""
        groups: dict[tuple[int, bool], list[tuple[SpectralNormalization, Tensor]]] = {}
        for layer, normalisation in spectral_layers(network):
            if view := normalisation.only_matrix:
                weight = raw_weight(layer)
                matrix = view.matrix(weight.detach())
                in_place = matrix.data_ptr() == weight.data_ptr()
                groups.setdefault((normalisation.iterations, in_place), []).append((normalisation, matrix))
        self._made = []
        for (rounds, in_place), group in groups.items():
            matrices, us = [matrix for _, matrix in group], [layer.get_buffer("u") for layer, _ in group]
            # The GPU kernels remember the matrices' addresses; one that had to be copied out of its weight lies
            # elsewhere every time.
            if in_place:
                results = self._rounds.setdefault(rounds, PowerIterations())(matrices, us, rounds)
            else:
                results = [power_iteration(matrix, u, rounds) for matrix, u in zip(matrices, us, strict=True)]
            for (normalisation, _), result in zip(group, results, strict=True):
                normalisation.ready = [result]
                self._made.append((normalisation, result[0]))

    @torch.no_grad()
    def store(self, *_hook: object) -> None:
        """Store u of the layers that were used, where their mode says so, and drop what was not used.

        A layer that a pass leaves out keeps its u, as it would on its own: the projection's embedding without labels.
        """
        used = [(layer.get_buffer("u"), u) for layer, u in self._made if layer.ready is None and layer.stores]
        if used:
            torch._foreach_copy_([kept for kept, _ in used], [new for _, new in used])
        for layer, _ in self._made:
            layer.ready = None
        self._made = []


def _may_change(state: Tensor) -> bool:
    """Return whether `torch.func` lets a function that it transforms change this tensor: not one from outside of it.

    In eval mode u then stays, so that scores can be differentiated. In training that would leave u behind its weights
    for good, and PyTorch's refusal stands, which asks for the buffers to be passed in.
    """
    transforms = torch._C._are_functorch_transforms_active()
    return not transforms or torch._C._functorch.is_functorch_wrapped_tensor(state)


def spectral_layers(network: nn.Module) -> Iterator[tuple[nn.Module, SpectralNormalization]]:
    """Yield every spectrally normalised layer with its normalisation, which comes before the gains."""
    for layer in network.modules():
        if parametrize.is_parametrized(layer, "weight"):
            normalisation = layer.get_submodule("parametrizations.weight.0")
            if isinstance(normalisation, SpectralNormalization):
                yield layer, normalisation
