"""Power iteration, and what the parametrisations that use it share."""

from typing import Literal

from torch import Tensor, nn

EPS = 1e-12

IteratesAt = Literal["forward", "update"]


def power_iteration(matrix: Tensor, u: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Improve the estimate of a matrix's leading singular vectors.

    Args:
        matrix: (rows, columns).
        u: (rows,) left vector to start from, of any length above 0.
        iterations: how many rounds, at least 1.
    Returns:
        u (rows,) and v (columns,), unit vectors.
    Source: 000 Algorithm 1, equations 20 and 21; source/functions/max_sv.py of pfnet-research/sngan_projection, where
    1e-12 is added to each norm.
    """
    for _ in range(iterations):
        v = matrix.mT @ u
        v = v / (v.norm() + EPS)
        u = matrix @ v
        u = u / (u.norm() + EPS)
    return u, v


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
