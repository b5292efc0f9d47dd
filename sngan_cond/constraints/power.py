"""The base class of the parametrisations that keep a power iteration going."""

from typing import Literal

from torch import Tensor, nn

IteratesAt = Literal["forward", "update"]


class PowerIterated(nn.Module):
    """A parametrisation with a power-iteration state that is saved with the network.

    Every use takes `iterations` rounds from the stored state. With `iterates_at` "forward" the result is stored in
    train mode, and for linear and embedding layers in every mode.

    Args:
        layer: its kind decides when the state is stored.
        iterations: rounds of power iteration per use; 1 in the papers, since the weights move little between uses.
        iterates_at: "forward" stores the result of every use (official code), "update" only that of `iterate`, which is
            called once per D update (Miyato et al. 2018, Algorithm 1).
    """

    def __init__(self, layer: nn.Module, *, iterations: int = 1, iterates_at: IteratesAt = "forward") -> None:
        super().__init__()
        assert isinstance(layer.weight, Tensor)
        self.iterations = iterations
        self.iterates_at = iterates_at
        # The official code checks for train mode in its convolutions and nowhere else. Its numbers are reproduced, so
        # scoring images in eval mode moves the state of the score layer and of the embedding too.
        self.stores_always = isinstance(layer, nn.Linear | nn.Embedding)

    @property
    def stores(self) -> bool:
        """Whether a use in the present mode stores its result."""
        return self.iterates_at == "forward" and (self.training or self.stores_always)

    def iterate(self, weight: Tensor) -> None:
        """Store the result of `iterations` rounds on a raw weight."""
        raise NotImplementedError

    def exact(self, weight: Tensor) -> Tensor:
        """Return what sigma converges to for a raw weight that stands still, a scalar without gradient."""
        raise NotImplementedError
