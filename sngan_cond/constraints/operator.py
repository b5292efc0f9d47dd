"""Spectral normalisation of a convolution by the norm of the linear operator between feature maps."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

from sngan_cond.config import DiscriminatorConfig, GeneratorConfig
from sngan_cond.constraints.power import IteratesAt, PowerIterated
from sngan_cond.constraints.weight_matrices import normalised_layers
from sngan_cond.fast.power_iteration import EPS
from sngan_cond.networks.layers import ConvMeanPool2d, UpsampleConv2d

# Rounds behind `exact`, which only decides where a learned gamma starts.
EXACT_ROUNDS = 200


class LinearMap:
    """A convolutional layer without its bias, as a linear map of its input, and the adjoint of that map.

    Mean pooling and upsampling belong to the map where the layer does them (`ConvMeanPool2d`, `UpsampleConv2d`), so a
    layer of norm 1 is 1-Lipschitz as a whole. The bare 3x3 convolution of a pooled layer may then have a norm of up to
    2, because 2x2 mean pooling has norm 1/2.

    Args:
        layer: convolution, transposed or not.
        input_shape: (1, C_in, H, W).
    """

    def __init__(self, layer: nn.Module, input_shape: torch.Size) -> None:
        assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
        self.input_shape = input_shape
        self.transposed = isinstance(layer, nn.ConvTranspose2d)
        self.pools = isinstance(layer, ConvMeanPool2d)
        self.upsamples = isinstance(layer, UpsampleConv2d)
        self.options: dict[str, Any] = {
            "stride": layer.stride,
            "padding": layer.padding,
            "dilation": layer.dilation,
            "groups": layer.groups,
        }
        self.output_padding = layer.output_padding

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        """Map (1, C_in, H, W) to the layer's output without bias."""
        if self.transposed:
            return F.conv_transpose2d(x, weight, None, output_padding=self.output_padding, **self.options)
        if self.upsamples:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        y = F.conv2d(x, weight, None, **self.options)
        return F.avg_pool2d(y, 2) if self.pools else y

    def adjoint(self, y: Tensor, weight: Tensor) -> Tensor:
        """Map an output back to (1, C_in, H, W) by the transpose of the same matrix."""
        if self.transposed:
            return F.conv2d(y, weight, None, **self.options)
        if self.pools:  # the adjoint of a mean over 2x2 gives each of the four pixels a quarter
            y = F.interpolate(y, scale_factor=2.0, mode="nearest") / 4
        side = 2 if self.upsamples else 1
        # The input's shape has to be given: with a stride, inputs of several sides have outputs of one.
        shape = [*self.input_shape[:2], *(side * length for length in self.input_shape[2:])]
        x: Tensor = conv2d_input(shape, weight, y, **self.options)  # type: ignore[no-untyped-call]  # torch leaves it so
        return F.avg_pool2d(x, 2) * 4 if self.upsamples else x  # the adjoint of repeating a pixel sums over 2x2


class OperatorNormalization(PowerIterated):
    """Parametrisation that divides a convolution's weight by the norm of the layer's linear operator.

    Power iteration runs with the layer's map and its adjoint at the layer's real input size, stride and padding. The
    state is `u`, shaped like one output of the layer, drawn from N(0, 1) and not normalised until used.
    Source: Farnia et al. 2018 and Gouk et al. 2018; "SN_Conv" in section 4 of Lin et al. 2021.

    Args:
        layer: convolution, transposed or not.
        input_shape: (1, C_in, H, W) of the layer's real input.
        iterations: as for `PowerIterated`.
        iterates_at: as for `PowerIterated`.
    """

    u: Tensor

    def __init__(
        self, layer: nn.Module, input_shape: torch.Size, *, iterations: int = 1, iterates_at: IteratesAt = "forward"
    ) -> None:
        super().__init__(layer, iterations=iterations, iterates_at=iterates_at)
        weight = layer.weight
        assert isinstance(weight, Tensor)
        self.map = LinearMap(layer, input_shape)
        with torch.no_grad():  # only for the output's shape, which is the state's too
            output = self.map.forward(weight.new_zeros(input_shape), weight)
        self.register_buffer("u", torch.randn_like(output))

    def _rounds(self, weight: Tensor, rounds: int) -> tuple[Tensor, Tensor]:
        # Miyato et al. 2018, equations 20 and 21, with a convolution for W v and its adjoint for W^T u. The matrix
        # itself would have an entry for every pair of an input and an output value.
        u = self.u
        for _ in range(rounds):
            v = self.map.adjoint(u, weight)
            v = v / (v.norm() + EPS)
            u = self.map.forward(v, weight)
            u = u / (u.norm() + EPS)
        return u, v

    def forward(self, weight: Tensor) -> Tensor:
        """Return weight / sigma, with u and v held constant in the gradient."""
        # As in `SpectralNormalization`; convolutions are on autocast's list too.
        with torch.autocast(weight.device.type, enabled=False):
            with torch.no_grad():
                u, v = self._rounds(weight.detach(), self.iterations)
                if self.stores:
                    self.u.copy_(u)
            sigma = (u * self.map.forward(v, weight)).sum()  # u W v, linear in the weight
            return weight / sigma

    @torch.no_grad()
    def iterate(self, weight: Tensor) -> None:
        """Store the result of `iterations` rounds on a raw weight."""
        self.u.copy_(self._rounds(weight, self.iterations)[0])

    @torch.no_grad()
    def exact(self, weight: Tensor) -> Tensor:
        """Return the operator's norm after many rounds from the present state; the state stays."""
        u, v = self._rounds(weight, EXACT_ROUNDS)
        return (u * self.map.forward(v, weight)).sum()


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
    shapes: dict[str, torch.Size] = {}

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(_module: nn.Module, args: tuple[Tensor, ...]) -> None:
            shapes[name] = args[0].shape

        return hook

    layers = normalised_layers(network)
    convolutions = [(name, layer) for name, layer in layers if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    handles = [layer.register_forward_pre_hook(note(name)) for name, layer in convolutions]
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            network(*_zero_input(network))
    finally:
        network.train(was_training)
        for handle in handles:
            handle.remove()
    return shapes


def _zero_input(network: nn.Module) -> tuple[Tensor, Tensor | None]:
    config = getattr(network, "config", None)
    device = next(network.parameters()).device
    if not isinstance(config, DiscriminatorConfig | GeneratorConfig):
        raise ValueError(f"estimate='operator' on {type(network).__name__}: a Generator or Discriminator is allowed")
    y = torch.zeros(1, dtype=torch.int64, device=device) if config.num_classes else None
    if isinstance(config, DiscriminatorConfig):
        return torch.zeros(1, 3, config.resolution, config.resolution, device=device), y
    return torch.zeros(1, config.latent_dim, device=device), y
