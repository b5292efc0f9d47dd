"""The interface of constraints: attached once, a penalty in the D objective, a step after each D update."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from sngan_cond.networks.heads import DiscriminatorOutput

DiscriminatorFn = Callable[..., DiscriminatorOutput]  # a discriminator, wrapped or not


class Constraint:
    """A constraint that does nothing; the others override what they need.

    A network is made of plain layers and does not know its constraint.
    """

    def attach(self, network: nn.Module) -> None:
        """Change the layers of a freshly initialised discriminator, or generator, in place, once, before training."""

    def penalty(
        self, D: DiscriminatorFn, real: Tensor, fake: Tensor, y: Tensor | None, *, rng: torch.Generator | None = None
    ) -> Tensor | None:
        """Return the term that the constraint adds to the D objective.

        Args:
            real: (N, 3, R, R) images.
            fake: (N, 3, R, R) images without a graph.
            y: (N,) int64 labels of the real images, or None.
            rng: random source, on the device of `real`; None takes torch's global one.
        Returns:
            Scalar, or None where there is nothing to add.
        """
        return None

    def after_step(self, D: nn.Module) -> None:
        """Change the weights of the unwrapped discriminator in place, after the optimiser's step."""


class Composed(Constraint):
    """Several constraints, applied in order."""

    def __init__(self, constraints: Sequence[Constraint]) -> None:
        self.constraints = tuple(constraints)

    def attach(self, network: nn.Module) -> None:
        """Attach every part in order."""
        for constraint in self.constraints:
            constraint.attach(network)

    def penalty(
        self, D: DiscriminatorFn, real: Tensor, fake: Tensor, y: Tensor | None, *, rng: torch.Generator | None = None
    ) -> Tensor | None:
        """Sum the parts' penalties."""
        terms = [constraint.penalty(D, real, fake, y, rng=rng) for constraint in self.constraints]
        present = [term for term in terms if term is not None]
        return torch.stack(present).sum() if present else None

    def after_step(self, D: nn.Module) -> None:
        """Run every part in order."""
        for constraint in self.constraints:
            constraint.after_step(D)
