"""Terms added to the discriminator's objective."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sngan_cond.constraints.base import Constraint
from sngan_cond.constraints.weight_matrices import bare, matrix_view, normalised_layers, output_axis, raw_weight
from sngan_cond.fast.power_iteration import power_iteration
from sngan_cond.networks.heads import DiscriminatorOutput


class GradientPenalty(Constraint):
    """weight * mean((|grad_x D(x)| - 1)^2) on one set of points between real and fake images.

    With the Wasserstein loss it makes WGAN-GP, with the standard one GAN-GP. Each point is e x + (1 - e) G(z), with e
    uniform in [0, 1), one an image, and carries the label of its real image. D is called in its current mode, so the
    state of a spectral normalisation moves once more in every D update.
    Source: Gulrajani et al. 2017; 000 equations 29 to 31.

    Args:
        weight: lambda, 10 in the papers.
    """

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def penalty(
        self,
        D: Callable[..., DiscriminatorOutput],
        real: Tensor,
        fake: Tensor,
        y: Tensor | None,
        *,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """Return the penalty; differentiable in D's parameters through the gradient.

        Raises:
            ValueError: if there are not as many fakes as real images.
        """
        if real.shape != fake.shape:
            raise ValueError(f"fake of shape {tuple(fake.shape)}: that of real, {tuple(real.shape)}, is allowed")
        e = torch.rand(len(real), 1, 1, 1, generator=rng, device=real.device, dtype=real.dtype)
        points = (e * real + (1 - e) * fake).detach().requires_grad_()
        score = D(points, y).score
        (gradient,) = torch.autograd.grad(score.sum(), points, create_graph=True)
        lengths: Tensor = torch.linalg.vector_norm(
            gradient, dim=(1, 2, 3), dtype=torch.promote_types(gradient.dtype, torch.float32)
        )  # (N,)
        return self.weight * (lengths - 1).square().mean()


class OrthonormalPenalty(Constraint):
    """weight * sum over layers of |W^T W - I|^2 (Frobenius), W the (outputs, rest) matrix of the raw weight.

    Both W^T W - I and W W^T - I have the same gradient, and values a constant apart; the smaller one is computed and
    the constant added.
    Source: 000 equation 14; Brock et al. 2016.

    Args:
        weight: factor; 000 writes none, which is 1.
        exclude: names of layers left out.
    """

    def __init__(self, weight: float, *, exclude: tuple[str, ...] = ()) -> None:
        self.weight = weight
        self.exclude = exclude

    def penalty(
        self,
        D: Callable[..., DiscriminatorOutput],
        real: Tensor,
        fake: Tensor,
        y: Tensor | None,
        *,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """Return the penalty; the images are not looked at."""
        terms = []
        for _, layer in normalised_layers(bare(D), self.exclude):
            matrix = matrix_view(raw_weight(layer), output_axis(layer))
            rows, columns = matrix.shape
            gram = matrix @ matrix.mT if rows <= columns else matrix.mT @ matrix
            identity = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
            terms.append((gram - identity).square().sum() + max(columns - rows, 0))
        return self.weight * torch.stack(terms).sum()


class SpectralNormPenalty(Constraint):
    """weight / 2 * sum over layers of sigma(W)^2, sigma by power iteration from a state kept on the layer.

    Source: Yoshida and Miyato 2017, equation 3, where the weight is 0.01; 000 section 2.1 sets it against SN.

    Args:
        weight: lambda.
        iterations: rounds of power iteration an update.
        exclude: names of layers left out.
    """

    STATE = "penalty_u"

    def __init__(self, weight: float, *, iterations: int = 1, exclude: tuple[str, ...] = ()) -> None:
        self.weight = weight
        self.iterations = iterations
        self.exclude = exclude

    def attach(self, D: nn.Module) -> None:
        """Give every layer a left vector (rows,), drawn from N(0, 1)."""
        for _, layer in normalised_layers(D, self.exclude):
            weight = raw_weight(layer)
            u = torch.randn(weight.shape[output_axis(layer)], dtype=weight.dtype, device=weight.device)
            layer.register_buffer(self.STATE, u)

    def penalty(
        self,
        D: Callable[..., DiscriminatorOutput],
        real: Tensor,
        fake: Tensor,
        y: Tensor | None,
        *,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """Return the penalty and move the state; the images are not looked at."""
        terms = []
        for _, layer in normalised_layers(bare(D), self.exclude):
            matrix = matrix_view(raw_weight(layer), output_axis(layer))
            state = layer.get_buffer(self.STATE)
            with torch.no_grad():
                u, v, _ = power_iteration(matrix.detach(), state, self.iterations)
                state.copy_(u)
            terms.append((u @ (matrix @ v)).square())
        return self.weight / 2 * torch.stack(terms).sum()
