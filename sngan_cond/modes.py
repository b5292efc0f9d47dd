"""The mode of a network: training or inference."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import nn


@dataclass
class _Use:
    """How many use a network now, and the modes that its modules had before the first did."""

    modes: list[tuple[nn.Module, bool]]
    users: int = 0


_IN_USE: dict[nn.Module, _Use] = {}
_LOCK = threading.RLock()  # one thread may come twice: the garbage collector ends what was left unfinished anywhere


@contextmanager
def eval_mode(network: nn.Module) -> Iterator[None]:
    """Put a network in eval mode; afterwards each of its modules has its own mode again.

    Of several threads, the last one to end gives the modes back: a network that one of them put back into training
    would change its statistics under the others' images.
    """
    with _LOCK:
        use = _IN_USE.get(network) or _Use([(module, module.training) for module in network.modules()])
        _IN_USE[network] = use
        use.users += 1
        network.eval()
    try:
        yield
    finally:
        with _LOCK:
            use.users -= 1
            if not use.users:
                _IN_USE.pop(network, None)
                for module, training in use.modes:
                    module.training = training
