"""What a checkpoint holds of optimisers, by the names of parameters, and whether its tensors are those of a run."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from train.run.checkpoint import Checkpoint


def moments(network: nn.Module, optimizer: Any) -> dict[str, Tensor]:
    """Name the optimiser's state by parameter, so that no order and no pickle is needed to read it back."""
    state = optimizer.state
    return {
        f"{name}/{key}": tensor
        for name, parameter in network.named_parameters()
        for key, tensor in state.get(parameter, {}).items()
    }


def load_moments(network: nn.Module, optimizer: Any, tensors: dict[str, Tensor]) -> None:
    """Put back what `moments` returned, in place."""
    saved = optimizer.state_dict()
    names = [name for name, _ in network.named_parameters()]
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        name, _, field = key.rpartition("/")
        state.setdefault(names.index(name), {})[field] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": saved["param_groups"]})
    # Files hold contiguous tensors; fused optimisers want moments that lie in memory as their parameters do.
    for parameter, loaded in optimizer.state.items():
        for key, value in loaded.items():
            if value.shape == parameter.shape and value.stride() != parameter.stride():
                loaded[key] = torch.empty_like(parameter).copy_(value)


def check_shapes(checkpoint: Checkpoint, file: str, tensors: Mapping[str, Tensor]) -> None:
    """Raise a ValueError unless a file of a checkpoint, named without suffix, has the names and shapes of tensors."""
    wanted, found = _shapes(tensors), checkpoint.shapes(file)
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise ValueError(
                f"{file}.safetensors: does not fit this configuration ({name} is {found.get(name, 'missing')}, "
                f"expected is {wanted.get(name, 'none')})"
            )


def check_moments(checkpoint: Checkpoint, file: str, network: nn.Module) -> None:
    """Raise a ValueError unless a file of a checkpoint has what `moments` returns of a network's optimiser."""
    sizes = _shapes(dict(network.named_parameters()))
    for name, shape in checkpoint.shapes(file).items():
        size = sizes.get(name.rpartition("/")[0])
        if size is None or shape not in ((), size):
            raise ValueError(f"{file}.safetensors: does not fit this configuration ({name} is {shape})")


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
