"""Pickling of parametrised layers, which PyTorch leaves to state dicts.

PyTorch parametrises a layer by a class made for it alone, with a property in the place of the weight. No other process
can import such a class, so a layer is pickled as its original class and its contents, and the class is made again.
"""

from typing import Any

from torch import nn
from torch.nn.utils import parametrize


def let_pickle(layer: nn.Module) -> None:
    """Let a parametrised layer be pickled, and what it is part of."""
    type(layer).__reduce_ex__ = _reduced  # type: ignore[method-assign, assignment]


def _reduced(layer: nn.Module, _protocol: int) -> tuple[Any, ...]:
    return _restored, (type(layer).__bases__[0], vars(layer))


def _restored(kind: type[nn.Module], contents: dict[str, Any]) -> nn.Module:
    layer = kind.__new__(kind)
    layer.__setstate__(contents)  # type: ignore[no-untyped-call]  # torch leaves it so
    parametrize._inject_new_class(layer)
    for name in contents["_modules"]["parametrizations"]:
        parametrize._inject_property(layer, name)
    let_pickle(layer)
    return layer
