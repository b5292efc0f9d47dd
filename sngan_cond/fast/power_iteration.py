"""Power iteration and division by the spectral norm in as few passes over the weights as they need.

Spectral normalisation multiplies little: a round is two matrix-vector products. It costs memory traffic, since each
pass reads all weights, and on a GPU the launches of many small kernels.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from sngan_cond.fast.eager import has_triton, runs_eagerly

EPS = 1e-12  # added to each norm, as in the official max_sv.py


class Matrix(Protocol):
    """What power iteration multiplies by: a tensor, or a linear map too large to be written out as one."""

    @property
    def mT(self) -> "Matrix":  # noqa: N802  # as tensors call it
        """The transpose."""

    def matmul(self, x: Tensor, /) -> Tensor:
        """The product with a vector."""


def rows_in_memory(weight: Tensor) -> Tensor:
    """See a weight as a matrix with one row per output, its columns in the order in which they lie in memory.

    `weight.flatten(1)` would copy a channels-last weight at every use. The order of columns changes neither singular
    values nor left singular vectors, and only these are kept; right singular vectors come out in this order.

    Args:
        weight: (rows, ...).
    Returns:
        (rows, columns): a view of a contiguous or channels-last weight, else `weight.flatten(1)`.
    """
    if not weight.is_contiguous() and weight.is_contiguous(memory_format=torch.channels_last):
        return weight.movedim(1, -1).flatten(1)
    return weight.flatten(1)


def _like(matrix: Tensor, weight: Tensor) -> Tensor:
    """Undo `rows_in_memory` on a matrix of the same shape, as a view of it."""
    if not weight.is_contiguous() and weight.is_contiguous(memory_format=torch.channels_last):
        return matrix.view(weight.movedim(1, -1).shape).movedim(-1, 1)
    return matrix.view(weight.shape)


def power_iteration(matrix: Matrix, u: Tensor, iterations: int) -> tuple[Tensor, Tensor, Tensor]:
    """Take rounds of power iteration (Miyato et al. 2018, Algorithm 1): two passes over the matrix each.

    Args:
        matrix: W, (rows, columns), without gradient.
        u: left vector to start from, of any length above 0: (rows,), or shaped as the outputs of a linear map are.
        iterations: rounds, at least 1.
    Returns:
        u and v (columns,), unit vectors, and the scalar sigma = u W v.
    """
    for _ in range(iterations):
        v = matrix.mT.matmul(u)
        v = v / (v.norm() + EPS)
        image = matrix.matmul(v)
        u = image / (image.norm() + EPS)
    return u, v, u.flatten() @ image.flatten()  # W v is at hand from the last round: sigma takes no third pass


class PowerIterations:
    """Rounds of power iteration on a network's matrices; on a GPU in two kernels a round for all, and one at the end.

    It keeps the tables that these kernels read, so it must live as long as the CUDA graphs that recorded them.
    """

    def __init__(self) -> None:
        self._plans: Any = None  # power_iteration_triton.Plans

    def __call__(
        self, matrices: Sequence[Tensor], us: Sequence[Tensor], iterations: int
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Take rounds on each matrix.

        Args:
            matrices: each (rows, columns), without gradient.
            us: for each, as in `power_iteration`.
            iterations: rounds, at least 1.
        Returns:
            For each what `power_iteration` returns.
        """
        fits = (matrix.is_cuda and matrix.is_contiguous() and matrix.dtype == torch.float32 for matrix in matrices)
        if runs_eagerly(*matrices) and all(fits) and has_triton():
            from sngan_cond.fast import power_iteration_triton

            self._plans = self._plans or power_iteration_triton.Plans()
            return self._plans.fitting(matrices).run(us, iterations)  # type: ignore[no-any-return]
        return [power_iteration(matrix, u, iterations) for matrix, u in zip(matrices, us, strict=True)]

    # It reads addresses, which torch.compile cannot trace. The decorator `torch.compiler.disable` sets this same
    # attribute, but it also imports the compiler, which would cost everybody who only samples 1.4 s and 160 MB.
    __call__._torchdynamo_disable = True  # type: ignore[attr-defined]


def divide_by_norm(weight: Tensor, u: Tensor, v: Tensor, sigma: Tensor) -> Tensor:
    """Return weight / sigma with sigma = u W v, where u and v are constants to the gradient.

    Args:
        weight: (rows, ...) with gradient.
        u: (rows,).
        v: (columns,) of `rows_in_memory(weight)`.
        sigma: the value of u W v.
    Returns:
        (rows, ...), differentiable twice. The backward pass keeps no copy of the weight, and makes one tensor of its
        size: the gradient.
    """
    if not runs_eagerly(weight):  # a compiler fuses these operations by itself
        return weight / (u @ (rows_in_memory(weight) @ v))
    normalised: Tensor = _Divide.apply(weight, u, v, sigma)
    return normalised


class _Divide(torch.autograd.Function):
    """weight / sigma with the dependence of sigma = u W v on the weight in its gradient, at the cost of one tensor."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, u: Tensor, v: Tensor, sigma: Tensor) -> Tensor:
        ctx.save_for_backward(weight, u, v, sigma)
        return weight / sigma

    # With G = dL/d(W / sigma) and <A, B> the sum of all products of their entries: a change dW changes sigma = u W v by
    # u dW v = <u v^T, dW>, and W / sigma by dW / sigma - W <u v^T, dW> / sigma^2. So
    #
    #     dL/dW = G / sigma - <G, W> / sigma^2 u v^T,
    #
    # which is Miyato et al. 2018, equation 12, for this estimate of sigma. The second term has rank 1: G / sigma is
    # written into the result, one pass takes <G / sigma, W> / sigma, and another adds the term in place. Autograd on
    # the plain operations would make several tensors of the weight's size.
    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        weight, u, v, sigma = ctx.saved_tensors
        # Grad mode is on under create_graph=True: a gradient penalty will differentiate this gradient.
        if torch.is_grad_enabled() or not runs_eagerly(grad, weight):
            sigma = u @ (rows_in_memory(weight) @ v)  # the saved one is a constant to autograd
            along = (grad * weight).sum() / sigma
            return (grad - along * _like(torch.outer(u, v), weight)) / sigma, None, None, None
        # G comes in whatever layout the convolution left it in. The result takes the weight's: a matrix in its memory
        # order for the products below, and a view of that in the weight's shape for the division and the caller.
        rows = rows_in_memory(weight)
        matrix = torch.empty(rows.shape, dtype=rows.dtype, device=rows.device)
        result = _like(matrix, weight)
        torch.div(grad, sigma, out=result)
        along = torch.dot(matrix.view(-1), rows.reshape(-1)) / sigma
        matrix.addmm_((-along * u)[:, None], v[None])
        return result, None, None, None
