"""What a spectral norm is the norm of: a weight, seen as a matrix, or a layer, seen as a linear operator."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

from sngan_cond.config import DiscriminatorConfig, GeneratorConfig
from sngan_cond.constraints.weight_matrices import matrix_view, normalised_layers, output_axis
from sngan_cond.fast.power_iteration import Matrix, power_iteration, rows_in_memory
from sngan_cond.modes import eval_mode

# Rounds behind `OperatorView.exact`, which only decides where a learned gamma starts.
EXACT_ROUNDS = 200


@dataclass(frozen=True)
class MatrixView:
    """A weight as a matrix.

    Args:
        axis: of the weight that is the matrix's rows, 0 or 1.
        in_memory_order: whether the columns of axis 0 lie as the weight does in memory, which channels-last changes.
            sigma and u do not depend on it, and v is only ever used with this matrix.
    """

    axis: int
    in_memory_order: bool = False

    def start(self, weight: Tensor) -> Tensor:
        """Draw a left vector (rows,) from N(0, 1)."""
        return torch.randn(weight.shape[self.axis], dtype=weight.dtype, device=weight.device)

    def matrix(self, weight: Tensor) -> Tensor:
        """Return the matrix (rows, columns), a view of the weight where that is possible."""
        return rows_in_memory(weight) if self.in_memory_order else matrix_view(weight, self.axis)

    def sigma(self, weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Return u W v, linear in the weight."""
        return u @ (self.matrix(weight) @ v)

    def exact(self, weight: Tensor, u: Tensor) -> Tensor:
        """Return the largest singular value, a scalar."""
        sigma: Tensor = torch.linalg.matrix_norm(self.matrix(weight), ord=2)
        return sigma


class OperatorView:
    """A convolutional layer without its bias, as a linear map of its input.

    Power iteration runs with this map and its adjoint at the layer's real input size, stride and padding; the matrix
    itself would have an entry for every pair of an input and an output value. Left vectors are shaped like one output
    of the layer, right ones like one input.

    Mean pooling and upsampling belong to the map where the layer does them (`ConvMeanPool2d`, `UpsampleConv2d`), so a
    layer of norm 1 is 1-Lipschitz as a whole. The bare 3x3 convolution of a pooled layer may then have a norm of up to
    2, because 2x2 mean pooling has norm 1/2.
    Source: Farnia et al. 2018 and Gouk et al. 2018; "SN_Conv" in section 4 of Lin et al. 2021.

    Args:
        layer: convolution, transposed or not.
        input_shape: (1, C_in, H, W) of the layer's real input.
    """

    def __init__(self, layer: nn.Module, input_shape: torch.Size) -> None:
        assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
        self.input_shape = input_shape
        self.transposed = isinstance(layer, nn.ConvTranspose2d)
        self.pools: bool = getattr(layer, "pools", False)
        self.upsamples: bool = getattr(layer, "upsamples", False)
        self.options: dict[str, Any] = {
            name: getattr(layer, name) for name in ("stride", "padding", "dilation", "groups")
        }
        self.output_padding = layer.output_padding

    def start(self, weight: Tensor) -> Tensor:
        """Draw a left vector from N(0, 1)."""
        return torch.randn_like(self._forward(weight.new_zeros(self.input_shape), weight))

    def matrix(self, weight: Tensor) -> Matrix:
        """Return the map, to be multiplied by as a matrix is."""
        return _LinearMap(partial(self._forward, weight=weight), partial(self._adjoint, weight=weight))

    def sigma(self, weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Return u W v, linear in the weight."""
        return (u * self._forward(v, weight)).sum()

    def exact(self, weight: Tensor, u: Tensor) -> Tensor:
        """Return the operator's norm after many rounds from u, a scalar."""
        u, v, _ = power_iteration(self.matrix(weight), u, EXACT_ROUNDS)
        return self.sigma(weight, u, v)

    def _forward(self, x: Tensor, weight: Tensor) -> Tensor:
        if self.transposed:
            return F.conv_transpose2d(x, weight, None, output_padding=self.output_padding, **self.options)
        if self.upsamples:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        y = F.conv2d(x, weight, None, **self.options)
        return F.avg_pool2d(y, 2) if self.pools else y

    def _adjoint(self, y: Tensor, weight: Tensor) -> Tensor:
        if self.transposed:
            return F.conv2d(y, weight, None, **self.options)
        if self.pools:  # the adjoint of a mean over 2x2 gives each of the four pixels a quarter
            y = F.interpolate(y, scale_factor=2.0, mode="nearest") / 4
        side = 2 if self.upsamples else 1
        # The input's shape has to be given: with a stride, inputs of several sides have outputs of one.
        shape = [*self.input_shape[:2], *(side * length for length in self.input_shape[2:])]
        x: Tensor = conv2d_input(shape, weight, y, **self.options)  # type: ignore[no-untyped-call]  # torch leaves it so
        return F.avg_pool2d(x, 2) * 4 if self.upsamples else x  # the adjoint of repeating a pixel sums over 2x2


class _LinearMap(NamedTuple):
    forward: Callable[[Tensor], Tensor]
    adjoint: Callable[[Tensor], Tensor]

    @property
    def mT(self) -> "_LinearMap":  # noqa: N802  # as tensors call it
        return _LinearMap(self.adjoint, self.forward)

    def matmul(self, x: Tensor) -> Tensor:
        return self.forward(x)


View = MatrixView | OperatorView


def views_of(
    layer: nn.Module, estimate: Literal["matrix", "bidirectional", "operator"], input_shape: torch.Size | None
) -> dict[str, View]:
    """Return the views of a layer whose norms' mean is its spectral norm, each by the name of its left vector.

    Args:
        layer: linear layers and embeddings have one view whatever the estimate, since all of theirs agree.
        estimate: as in `ConstraintConfig`; "bidirectional" takes outputs x (inputs kH kW) and inputs x (outputs kH kW),
            as "BSN" in no_gamma-CNN/gan/op.py of fjxmlzn/BSN.
        input_shape: (1, C_in, H, W) of a convolution's real input; None unless the estimate is "operator".
    """
    axis = output_axis(layer)
    if estimate == "matrix" or isinstance(layer, nn.Linear | nn.Embedding):
        return {"u": MatrixView(axis, in_memory_order=axis == 0)}
    if estimate == "bidirectional":
        return {"u_out": MatrixView(axis), "u_in": MatrixView(1 - axis)}
    assert input_shape is not None
    return {"u": OperatorView(layer, input_shape)}


def input_shapes(network: nn.Module) -> dict[str, torch.Size]:
    """Find the input shape of every convolution by a forward pass of a single zero input.

    Args:
        network: `Generator` or `Discriminator`, before its weights are parametrised: spectrally normalised linear
            layers would move their u. The pass runs in eval mode, so no running statistics move either.
    Returns:
        Layer name to (1, C_in, H, W).
    Raises:
        ValueError: if the network has no `config` to tell its input from.
    """
    config, device = getattr(network, "config", None), next(network.parameters()).device
    if isinstance(config, DiscriminatorConfig):
        x = torch.zeros(1, 3, config.resolution, config.resolution, device=device)
    elif isinstance(config, GeneratorConfig):
        x = torch.zeros(1, config.latent_dim, device=device)
    else:
        raise ValueError(f"estimate='operator' on {type(network).__name__}: a Generator or Discriminator is allowed")
    y = torch.zeros(1, dtype=torch.int64, device=device) if config.num_classes else None
    shapes: dict[str, torch.Size] = {}

    def note(_layer: nn.Module, args: tuple[Tensor, ...], *, name: str) -> None:
        shapes[name] = args[0].shape

    handles = [
        layer.register_forward_pre_hook(partial(note, name=name))
        for name, layer in normalised_layers(network)
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    ]
    try:
        with torch.no_grad(), eval_mode(network):
            network(x, y)
    finally:
        for handle in handles:
            handle.remove()
    return shapes
