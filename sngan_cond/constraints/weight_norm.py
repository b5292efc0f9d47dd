"""Weight and Frobenius normalisation, initialisations, and what is done to the weights after an update."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sngan_cond.constraints.base import Constraint
from sngan_cond.constraints.gains import Gains
from sngan_cond.constraints.weight_matrices import matrix_view, normalised_layers, output_axis, raw_weight
from sngan_cond.fast.power_iteration import EPS


class WeightNormalization(nn.Module):
    """Parametrisation that divides each row of a weight matrix by its length.

    Source: Salimans and Kingma 2016; Miyato et al. 2018, equation 25, without multiplier.

    Args:
        layer: layer whose weight, seen as a (outputs, rest) matrix, is normalised.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        assert isinstance(layer.weight, Tensor)
        self.axes = [axis for axis in range(layer.weight.ndim) if axis != output_axis(layer)]

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight with rows of length 1."""
        lengths: Tensor = torch.linalg.vector_norm(weight, dim=self.axes, keepdim=True)
        return weight / (lengths + EPS)

    @torch.no_grad()
    def exact(self, weight: Tensor) -> Tensor:
        """Return the rows' lengths (rows,)."""
        lengths: Tensor = torch.linalg.vector_norm(weight, dim=self.axes)
        return lengths


class FrobeniusNormalization(nn.Module):
    """Parametrisation that divides a weight by its Frobenius norm. Source: Miyato et al. 2018, equation 26."""

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight with Frobenius norm 1."""
        length: Tensor = torch.linalg.vector_norm(weight)
        return weight / (length + EPS)

    @torch.no_grad()
    def exact(self, weight: Tensor) -> Tensor:
        """Return the Frobenius norm, a scalar."""
        length: Tensor = torch.linalg.vector_norm(weight)
        return length


class RowNorm(Constraint):
    """Weight or Frobenius normalisation of every weight, without multiplier unless `gains` has one.

    Args:
        kind: "weight" divides each row by its length, "frobenius" the whole weight by its norm.
        exclude: names of layers left as they are.
        gains: what the normalised weights are multiplied by; None for nothing. With "weight", a gamma "per_row" is that
            of Salimans and Kingma 2016, and one for more than a row starts from the rows' root mean square length.
    """

    def __init__(
        self, kind: Literal["weight", "frobenius"], *, exclude: tuple[str, ...] = (), gains: Gains | None = None
    ) -> None:
        self.kind = kind
        self.exclude = exclude
        self.gains = gains or Gains()

    def attach(self, D: nn.Module) -> None:
        """Parametrise the weights."""
        attached = []
        for _, layer in normalised_layers(D, self.exclude):
            normalisation = WeightNormalization(layer) if self.kind == "weight" else FrobeniusNormalization()
            start = normalisation.exact(raw_weight(layer)) if self.gains.asks_norms else None
            if start is not None and self.gains.gamma != "per_row":
                start = start.square().mean().sqrt()  # keeps the Frobenius norm, as one gamma cannot keep every row's
            parametrize.register_parametrization(layer, "weight", normalisation, unsafe=True)
            attached.append((layer, start))
        self.gains.attach(D, attached)


class WeightClipping(Constraint):
    """Clips every weight to [-c, c] after each D update; biases stay.

    Arjovsky et al. 2017 clip every parameter; Miyato et al. 2018, section 4.1, write "the convolutional weight of each
    layer". Here it is the weight of every layer, the last linear one included, since one free layer would leave the
    Lipschitz constant free.

    Args:
        limit: c, above 0; 0.01 in the papers.
        exclude: names of layers left as they are.
    """

    def __init__(self, limit: float, *, exclude: tuple[str, ...] = ()) -> None:
        self.limit = limit
        self.exclude = exclude

    @torch.no_grad()
    def after_step(self, D: nn.Module) -> None:
        """Clip, in place."""
        weights = [raw_weight(layer) for _, layer in normalised_layers(D, self.exclude)]
        torch._foreach_clamp_min_(weights, -self.limit)
        torch._foreach_clamp_max_(weights, self.limit)


class SingularValueClipping(Constraint):
    """Clips every weight matrix's singular values to at most `limit`, every few D updates.

    Source: Miyato et al. 2018, appendix D.3; Saito et al. 2017, section 4.2, who clip to 1 every 5 updates.

    Args:
        every: D updates between clippings, at least 1.
        limit: largest singular value allowed, above 0.
        exclude: names of layers left as they are.
    """

    COUNT = "updates_since_clipping"

    def __init__(self, every: int, *, limit: float = 1.0, exclude: tuple[str, ...] = ()) -> None:
        self.every = every
        self.limit = limit
        self.exclude = exclude

    def attach(self, D: nn.Module) -> None:
        """Register the count of updates with the network, so that a resumed run clips at the same steps."""
        D.register_buffer(self.COUNT, torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def after_step(self, D: nn.Module) -> None:
        """Count the update, and clip at every `every`-th."""
        count = D.get_buffer(self.COUNT)
        count += 1
        if int(count) < self.every:
            return
        count.zero_()
        for _, layer in normalised_layers(D, self.exclude):
            weight = raw_weight(layer)
            view = weight.movedim(output_axis(layer), 0)  # a view, so that copy_ below writes into the weight
            U, S, Vh = torch.linalg.svd(view.flatten(1), full_matrices=False)
            view.copy_(((U * S.clamp(max=self.limit)) @ Vh).reshape(view.shape))


class Initialization(Constraint):
    """Draws every weight anew when attached, and does nothing afterwards; biases stay.

    Args:
        kind: "orthonormal": orthonormal rows, or columns where there are fewer (Miyato et al. 2018, section 4.1; Brock
            et al. 2016). "lecun": N(0, 1 / columns) (LeCun et al. 1998; Lin et al. 2021, section 4).
        scale: factor on every weight (Lin et al. 2021, section 5.2), above 0.
        exclude: names of layers left as they are.
    """

    def __init__(
        self, kind: Literal["orthonormal", "lecun"], *, scale: float = 1.0, exclude: tuple[str, ...] = ()
    ) -> None:
        self.kind = kind
        self.scale = scale
        self.exclude = exclude

    @torch.no_grad()
    def attach(self, D: nn.Module) -> None:
        """Draw the weights."""
        for _, layer in normalised_layers(D, self.exclude):
            axis = output_axis(layer)
            weight = raw_weight(layer)
            matrix = torch.empty_like(matrix_view(weight, axis))
            if self.kind == "orthonormal":
                nn.init.orthogonal_(matrix, gain=self.scale)
            else:
                nn.init.normal_(matrix, std=self.scale / matrix.shape[1] ** 0.5)
            view = weight.movedim(axis, 0)
            view.copy_(matrix.reshape(view.shape))
