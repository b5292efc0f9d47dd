"""Terms added to the discriminator's objective."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from sngan_cond.constraints.config import ConstraintConfig
from sngan_cond.constraints.views import MatrixView
from sngan_cond.constraints.weight_matrices import normalised_layers, output_axis, raw_matrix, raw_weight
from sngan_cond.fast.power_iteration import power_iteration

Rng = torch.Generator | None  # on the images' device; None is torch's global one
PENALTY_U = "penalty_u"  # left vector of a layer's power iteration under `spectral_penalty`


class Scored(Protocol):
    """What a penalty reads of a discriminator's output."""

    @property
    def score(self) -> Tensor:
        """Scores (N,)."""


DiscriminatorFn = Callable[..., Scored]  # a discriminator, wrapped or not


class PenaltyBatch(NamedTuple):
    """What a penalty may look at in a D update.

    Args:
        real: (N, 3, R, R) images.
        fake: (N, 3, R, R) images without a graph.
        y: (N,) int64 labels of the real images, or None.
    """

    real: Tensor
    fake: Tensor
    y: Tensor | None


def gradient_penalty(D: DiscriminatorFn, batch: PenaltyBatch, rng: Rng, config: ConstraintConfig) -> Tensor:
    """Return the gradient penalty of WGAN-GP (with the Wasserstein loss) and GAN-GP (with the standard one).

    lambda E[(|grad D(x_hat)|_2 - 1)^2], where x_hat = epsilon x + (1 - epsilon) G(z), with epsilon ~ U[0, 1) per image.
    A point carries the label of its real image. D is called in its current mode, so the state of a spectral
    normalisation moves once more in every D update.
    Source: Gulrajani et al. 2017, equation 3; Miyato et al. 2018, equations 29-31.

    Returns:
        Scalar, differentiable in D's parameters through the gradient.
    Raises:
        ValueError: if there are not as many fakes as real images.
    """
    real, fake, y = batch
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
    return config.gradient_penalty * (lengths - 1).square().mean()


def orthonormal_penalty(D: DiscriminatorFn, _batch: PenaltyBatch, _rng: Rng, config: ConstraintConfig) -> Tensor:
    """Return weight * sum over layers of |W^T W - I|_F^2, with W the (outputs, rest) matrix of the raw weight.

    Source: Brock et al. 2016; Miyato et al. 2018, equation 14.
    """
    terms = []
    for layer in _layers(D, config):
        matrix = raw_matrix(layer)
        rows, columns = matrix.shape
        # |W^T W - I|^2 and |W W^T - I|^2 differ by columns - rows, a constant. A convolution's matrix has many more
        # columns than rows, so the smaller product is taken and the constant added.
        gram = matrix @ matrix.mT if rows <= columns else matrix.mT @ matrix
        identity = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
        terms.append((gram - identity).square().sum() + max(columns - rows, 0))
    return config.orthonormal_penalty * torch.stack(terms).sum()


def start_spectral_penalty(D: nn.Module, config: ConstraintConfig) -> None:
    """Give every layer a left vector (rows,), drawn from N(0, 1)."""
    for layer in _layers(D, config):
        layer.register_buffer(PENALTY_U, MatrixView(output_axis(layer)).start(raw_weight(layer)))


def spectral_penalty(D: DiscriminatorFn, _batch: PenaltyBatch, _rng: Rng, config: ConstraintConfig) -> Tensor:
    """Return weight / 2 * sum over layers of sigma(W)^2, sigma by power iteration from the layers' state, and move it.

    It makes large norms expensive where spectral normalisation rules them out (Miyato et al. 2018, section 2.1).
    Source: Yoshida and Miyato 2017, equation 3.
    """
    terms = []
    for layer in _layers(D, config):
        state, matrix = layer.get_buffer(PENALTY_U), raw_matrix(layer)
        with torch.no_grad():
            u, v, _ = power_iteration(matrix.detach(), state, config.iterations)
            state.copy_(u)
        terms.append((u @ (matrix @ v)).square())  # gradient 2 sigma u v^T, with u and v constant as in SN
    return config.spectral_penalty / 2 * torch.stack(terms).sum()


def _layers(D: object, config: ConstraintConfig) -> list[nn.Module]:
    """List the layers inside `DistributedDataParallel` and `torch.compile` wrappers, in any order."""
    while (inner := getattr(D, "_orig_mod", None) or getattr(D, "module", None)) is not None:
        D = inner
    assert isinstance(D, nn.Module)
    return [layer for _, layer in normalised_layers(D, config.exclude)]
