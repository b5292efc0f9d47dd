"""What every constraint on a network is: three verbs, each of which may do nothing."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from sngan_cond.networks.heads import DiscriminatorOutput


class Constraint:
    """A constraint that does nothing; each real one overrides the verbs it needs.

    The discriminator stays made of plain layers and does not know its constraint.
    """

    def attach(self, D: nn.Module) -> None:
        """Change the layers of a freshly initialised discriminator, once, before training.

        Args:
            D: the network, in place.
        """

    def penalty(
        self,
        D: Callable[..., DiscriminatorOutput],
        real: Tensor,
        fake: Tensor,
        y: Tensor | None,
        *,
        rng: torch.Generator | None = None,
    ) -> Tensor | None:
        """Return what is added to the D objective.

        Args:
            D: discriminator, wrapped or not.
            real: (N, 3, R, R) images.
            fake: (N, 3, R, R) images without a graph.
            y: (N,) int64 labels of the real images, or None.
            rng: random source, on the device of `real`; None takes torch's global one.
        Returns:
            Scalar, or None where there is nothing to add.
        """
        return None

    def after_step(self, D: nn.Module) -> None:
        """Change the weights after a D update.

        Args:
            D: the network, unwrapped, in place.
        """


class Composed(Constraint):
    """Several constraints, applied in order.

    Args:
        constraints: the parts.
    """

    def __init__(self, constraints: Sequence[Constraint]) -> None:
        self.constraints = tuple(constraints)

    def attach(self, D: nn.Module) -> None:
        """Attach every part in order."""
        for constraint in self.constraints:
            constraint.attach(D)

    def penalty(
        self,
        D: Callable[..., DiscriminatorOutput],
        real: Tensor,
        fake: Tensor,
        y: Tensor | None,
        *,
        rng: torch.Generator | None = None,
    ) -> Tensor | None:
        """Sum the parts' penalties."""
        terms = [constraint.penalty(D, real, fake, y, rng=rng) for constraint in self.constraints]
        present = [term for term in terms if term is not None]
        return torch.stack(present).sum() if present else None

    def after_step(self, D: nn.Module) -> None:
        """Run every part in order."""
        for constraint in self.constraints:
            constraint.after_step(D)
