"""What the parametrisations that use it share."""

from typing import Literal

from torch import Tensor, nn

IteratesAt = Literal["forward", "update"]


class PowerIterated(nn.Module):
    """What the parametrisations with a power-iteration state share.

    Every use takes `iterations` rounds from the stored state; the result is stored in train mode, and, for linear and
    embedding layers, in every mode, as the official code does.

    Args:
        layer: layer whose weight is normalised.
        iterations: rounds of power iteration a use.
        iterates_at: "forward" stores the state at every use (official code), "update" only when told to (Algorithm 1).
    """

    def __init__(self, layer: nn.Module, *, iterations: int = 1, iterates_at: IteratesAt = "forward") -> None:
        super().__init__()
        assert isinstance(layer.weight, Tensor)
        self.iterations = iterations
        self.iterates_at = iterates_at
        self.stores_always = isinstance(layer, nn.Linear | nn.Embedding)

    @property
    def stores(self) -> bool:
        """Whether a use now would store its result."""
        return self.iterates_at == "forward" and (self.training or self.stores_always)

    def iterate(self, weight: Tensor) -> None:
        """Store the result of `iterations` rounds on a raw weight."""
        raise NotImplementedError

    def exact(self, weight: Tensor) -> Tensor:
        """Return what sigma converges to for a raw weight that stands still, a scalar without gradient."""
        raise NotImplementedError
