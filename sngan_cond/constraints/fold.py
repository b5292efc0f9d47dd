"""Folding a constraint into the weights, which makes the network plain again."""

from dataclasses import replace

from torch import nn
from torch.nn.utils import parametrize

from sngan_cond.constraints.config import OFF, ConstraintConfig
from sngan_cond.constraints.gains import SHARED_GAMMA
from sngan_cond.constraints.penalties import PENALTY_U
from sngan_cond.constraints.weights import CLIPPING_COUNT
from sngan_cond.modes import eval_mode


def fold(network: nn.Module) -> None:
    """Replace every parametrised weight, and bias, by its value in inference, in place.

    Afterwards the state dict has the names of one that was never constrained: the state of penalties and clipping goes
    too. Feature normalisations stay, since they are layers.

    Args:
        network: put into eval mode for the fold, so that convolutions are normalised as in inference, and back into its
            mode afterwards.
    """
    with eval_mode(network):
        for layer in list(network.modules()):
            if parametrize.is_parametrized(layer, "weight"):
                _own_class(layer)
                for name in ("weight", "bias"):
                    if parametrize.is_parametrized(layer, name):
                        parametrize.remove_parametrizations(layer, name, leave_parametrized=True)
            for state in (PENALTY_U, CLIPPING_COUNT, SHARED_GAMMA):
                if hasattr(layer, state):
                    delattr(layer, state)
    attached = getattr(network, "constraint", None)
    if isinstance(attached, ConstraintConfig):
        network.constraint = replace(OFF, features=attached.features)  # type: ignore[assignment]


def _own_class(layer: nn.Module) -> None:
    """Give a parametrised layer a class of its own.

    PyTorch parametrises a layer by a class with a `weight` property, which a deep copy shares. Folding deletes the
    property, and would take it from the copies too.
    """
    shared = type(layer)
    members = {name: member for name, member in vars(shared).items() if name not in ("__dict__", "__weakref__")}
    layer.__class__ = type(shared.__name__, shared.__bases__, members)
