"""Power iteration and division by the norm with as few passes over the weights as they need."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

EPS = 1e-12


def rows_in_memory(weight: Tensor) -> Tensor:
    """See a weight as a matrix of outputs without moving it: the columns in the order in which they lie in memory.

    Singular values and left singular vectors do not depend on the order of columns; right ones are in this one.

    Args:
        weight: (rows, ...), contiguous or channels-last.
    Returns:
        (rows, the rest); a view for both layouts, else a copy in the order of `weight.flatten(1)`.
    """
    if not weight.is_contiguous() and weight.is_contiguous(memory_format=torch.channels_last):
        return weight.movedim(1, -1).flatten(1)
    return weight.flatten(1)


def _like(matrix: Tensor, weight: Tensor) -> Tensor:
    """Undo `rows_in_memory`."""
    if not weight.is_contiguous() and weight.is_contiguous(memory_format=torch.channels_last):
        return matrix.view(weight.movedim(1, -1).shape).movedim(-1, 1)
    return matrix.view(weight.shape)


def power_iteration(matrix: Tensor, u: Tensor, iterations: int) -> tuple[Tensor, Tensor, Tensor]:
    """Take rounds of power iteration, and read sigma off the last one: two passes over the matrix a round.

    Args:
        matrix: (rows, columns) without gradient.
        u: (rows,) left vector to start from, of any length above 0.
        iterations: how many rounds, at least 1.
    Returns:
        u (rows,), v (columns,), unit vectors, and the scalar sigma = u W v.
    Source: 000 Algorithm 1; 1e-12 is added to each norm as in the official max_sv.py.
    """
    for _ in range(iterations):
        v = matrix.mT @ u
        v = v / (v.norm() + EPS)
        image = matrix @ v
        u = image / (image.norm() + EPS)
    return u, v, u @ image


def power_iterations(
    matrices: Sequence[Tensor], us: Sequence[Tensor], iterations: int
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Take rounds of power iteration on many matrices; on a GPU in three kernels a round.

    Args:
        matrices: each (rows, columns) without gradient.
        us: for each, as in `power_iteration`.
        iterations: how many rounds, at least 1.
    Returns:
        For each what `power_iteration` returns.
    """
    if all(matrix.is_cuda and matrix.is_contiguous() and matrix.dtype == torch.float32 for matrix in matrices):
        from sngan_cond.fast import (
            power_iteration_triton as power_triton,  # Triton comes with CUDA builds of PyTorch only
        )

        return power_triton.power_iterations(matrices, us, iterations)
    return [power_iteration(matrix, u, iterations) for matrix, u in zip(matrices, us, strict=True)]


# It reads addresses, which a compiler cannot trace. `torch.compiler.disable` would set this mark too, but it imports
# the compiler, which costs whoever only samples 1.4 s and 160 MB.
power_iterations._torchdynamo_disable = True  # type: ignore[attr-defined]


def divide_by_norm(weight: Tensor, u: Tensor, v: Tensor, sigma: Tensor) -> Tensor:
    """Return weight / sigma with sigma = u W v, where u and v are constants of the gradient.

    Args:
        weight: (rows, ...) with gradient.
        u: (rows,).
        v: (columns,) of `rows_in_memory(weight)`.
        sigma: the value of u W v.
    Returns:
        Of the weight's shape; differentiable twice. The backward pass keeps no copy of the weight and makes one of its
        size, the gradient.
    """
    if torch.compiler.is_compiling():  # the compiler fuses the plain form
        return weight / (u @ (rows_in_memory(weight) @ v))
    normalised: Tensor = _Divide.apply(weight, u, v, sigma)
    return normalised


class _Divide(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, u: Tensor, v: Tensor, sigma: Tensor) -> Tensor:
        ctx.save_for_backward(weight, u, v, sigma)
        return weight / sigma

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        weight, u, v, sigma = ctx.saved_tensors
        if torch.is_grad_enabled():  # somebody differentiates this gradient: sigma depends on the weight
            sigma = u @ (rows_in_memory(weight) @ v)
            share = (grad * weight).sum() / sigma
            return (grad - share * _like(torch.outer(u, v), weight)) / sigma, None, None, None
        # The gradient comes in whatever layout the convolution made it; the result is one matrix in the weight's.
        rows = rows_in_memory(weight)
        matrix = torch.empty(rows.shape, dtype=rows.dtype, device=rows.device)
        result = _like(matrix, weight)
        torch.div(grad, sigma, out=result)
        share = torch.dot(matrix.view(-1), rows.reshape(-1)) / sigma
        matrix.addmm_((-share * u)[:, None], v[None])
        return result, None, None, None
