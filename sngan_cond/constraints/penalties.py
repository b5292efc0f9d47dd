"""Terms added to the discriminator's objective."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from sngan_cond.constraints.base import Constraint, DiscriminatorFn
from sngan_cond.constraints.weight_matrices import matrix_view, normalised_layers, output_axis, raw_weight
from sngan_cond.fast.power_iteration import power_iteration


class GradientPenalty(Constraint):
    """The gradient penalty of WGAN-GP (with the Wasserstein loss) and GAN-GP (with the standard one).

    lambda E[(|grad D(x_hat)|_2 - 1)^2], where x_hat = epsilon x + (1 - epsilon) G(z), with epsilon ~ U[0, 1) per image.
    A point carries the label of its real image. D is called in its current mode, so the state of a spectral
    normalisation moves once more in every D update.
    Source: Gulrajani et al. 2017, equation 3; Miyato et al. 2018, equations 29-31.

    Args:
        weight: lambda, 10 in the papers.
    """

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def penalty(
        self, D: DiscriminatorFn, real: Tensor, fake: Tensor, y: Tensor | None, *, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return the penalty; differentiable in D's parameters through the gradient.

        Raises:
            ValueError: if there are not as many fakes as real images.
        """
        if real.shape != fake.shape:
            raise ValueError(f"fake of shape {tuple(fake.shape)}: that of real, {tuple(real.shape)}, is allowed")
        epsilon = torch.rand(len(real), 1, 1, 1, generator=rng, device=real.device, dtype=real.dtype)
        points = (epsilon * real + (1 - epsilon) * fake).detach().requires_grad_()
        score = D(points, y).score
        # An image's score depends on that image alone, so the gradient of the sum holds every score's own gradient.
        # (Batch normalisation in D mixes them.) The graph is kept, as D's parameters are reached through this gradient.
        (gradient,) = torch.autograd.grad(score.sum(), points, create_graph=True)
        # Thousands of squares are summed: in float32, also where autocast made the gradient in half precision.
        lengths: Tensor = torch.linalg.vector_norm(
            gradient, dim=(1, 2, 3), dtype=torch.promote_types(gradient.dtype, torch.float32)
        )  # (N,)
        return self.weight * (lengths - 1).square().mean()


class OrthonormalPenalty(Constraint):
    """weight * sum over layers of |W^T W - I|_F^2, with W the (outputs, rest) matrix of the raw weight.

    Source: Brock et al. 2016; Miyato et al. 2018, equation 14.

    Args:
        weight: factor; 1 in the equation.
        exclude: names of layers left out.
    """

    def __init__(self, weight: float, *, exclude: tuple[str, ...] = ()) -> None:
        self.weight = weight
        self.exclude = exclude

    def penalty(
        self, D: DiscriminatorFn, real: Tensor, fake: Tensor, y: Tensor | None, *, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return the penalty; the images are not looked at."""
        terms = []
        for _, matrix in _matrices(D, self.exclude):
            rows, columns = matrix.shape
            # |W^T W - I|^2 and |W W^T - I|^2 differ by columns - rows, a constant. A convolution's matrix has many more
            # columns than rows, so the smaller product is taken and the constant added.
            gram = matrix @ matrix.mT if rows <= columns else matrix.mT @ matrix
            identity = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
            terms.append((gram - identity).square().sum() + max(columns - rows, 0))
        return self.weight * torch.stack(terms).sum()


class SpectralNormPenalty(Constraint):
    """weight / 2 * sum over layers of sigma(W)^2, sigma by power iteration from a state kept on the layer.

    It makes large norms expensive where spectral normalisation rules them out (Miyato et al. 2018, section 2.1).
    Source: Yoshida and Miyato 2017, equation 3.

    Args:
        weight: lambda, 0.01 in the paper.
        iterations: rounds of power iteration per update.
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
        self, D: DiscriminatorFn, real: Tensor, fake: Tensor, y: Tensor | None, *, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return the penalty and move the state; the images are not looked at."""
        terms = []
        for layer, matrix in _matrices(D, self.exclude):
            state = layer.get_buffer(self.STATE)
            with torch.no_grad():
                u, v, _ = power_iteration(matrix.detach(), state, self.iterations)
                state.copy_(u)
            terms.append((u @ (matrix @ v)).square())  # gradient 2 sigma u v^T, with u and v constant as in SN
        return self.weight / 2 * torch.stack(terms).sum()


def _matrices(D: object, exclude: tuple[str, ...]) -> Iterator[tuple[nn.Module, Tensor]]:
    """Yield every layer with its raw weight as a matrix (outputs, rest)."""
    for _, layer in normalised_layers(_unwrapped(D), exclude):
        yield layer, matrix_view(raw_weight(layer), output_axis(layer))


def _unwrapped(network: object) -> nn.Module:
    """Return the module inside `DistributedDataParallel` and `torch.compile` wrappers, in any order."""
    while True:
        inner = getattr(network, "_orig_mod", None) or getattr(network, "module", None)
        if inner is None:
            assert isinstance(network, nn.Module)
            return network
        network = inner
