"""The layers that a constraint acts on, and each layer's weight as a matrix."""

from torch import Tensor, nn
from torch.nn.utils import parametrize

from sngan_cond.validation import short_repr

_KINDS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.Embedding)


def normalised_layers(network: nn.Module, exclude: tuple[str, ...] = ()) -> list[tuple[str, nn.Module]]:
    """List the convolutions, linear layers and embeddings of a network with their names, in order.

    Args:
        exclude: names to leave out; each must exist.
    Raises:
        ValueError: if a name to exclude does not exist.
    """
    layers = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, _KINDS)]
    for name in exclude:
        if name not in dict(layers):
            raise ValueError(f"exclude={short_repr(name)}: no such layer; layers are {', '.join(dict(layers))}")
    return [(name, layer) for name, layer in layers if name not in exclude]


def output_axis(layer: nn.Module) -> int:
    """Return the axis of a layer's weight that counts its outputs: 1 for transposed convolutions, otherwise 0."""
    return 1 if isinstance(layer, nn.ConvTranspose2d) else 0


def matrix_view(weight: Tensor, axis: int) -> Tensor:
    """Reshape a weight of two or more axes to a matrix whose rows are one of them, 0 or 1.

    Returns:
        (weight.shape[axis], rest), a view where the layout allows; for axis 0 the (outputs, inputs * kH * kW) matrix of
        Miyato et al. 2018, section 4.
    """
    return weight.movedim(axis, 0).flatten(1)


def raw_weight(layer: nn.Module) -> nn.Parameter:
    """Return what the optimiser moves: the original of a parametrised weight, else the weight itself."""
    parametrised = parametrize.is_parametrized(layer, "weight")
    return layer.get_parameter("parametrizations.weight.original" if parametrised else "weight")


def raw_matrix(layer: nn.Module) -> Tensor:
    """Return the raw weight as a matrix (outputs, rest)."""
    return matrix_view(raw_weight(layer), output_axis(layer))
