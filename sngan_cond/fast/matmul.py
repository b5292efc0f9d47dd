"""Products of matrices on a CPU: of float32 by the native kernel (kernels/gemm.h says why), of other types by PyTorch.

The kernel is an operator, `torch.ops.sngan_cond.multiply`, so that PyTorch's counter of arithmetic sees it, and fake
tensors ask only for its shape. Tools that record or transform what is computed get PyTorch's product instead.
"""

from typing import Any

import torch
from torch import Tensor

from sngan_cond.fast import native
from sngan_cond.fast.eager import runs_eagerly

_OPERATORS = torch.library.Library("sngan_cond", "FRAGMENT")  # type: ignore[no-untyped-call]
_OPERATORS.define("multiply(Tensor a, Tensor b) -> Tensor")  # type: ignore[no-untyped-call]


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """Multiply two matrices, or as many pairs of them; differentiable any number of times.

    Each element of a float32 product is summed in an order that K alone decides: neither the number of rows, such as
    those of other images in a batch, nor that of threads changes a bit of it.

    Args:
        a: (M, K) or (B, M, K), on a CPU where `native.available()`.
        b: (K, N) or (B, K, N), of a's type.
    Returns:
        (M, N) or (B, M, N), contiguous.
    """
    if a.dtype != torch.float32 or not runs_eagerly(a, b):
        return a @ b
    product: Tensor = _Product.apply(a, b)
    return product


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        product: Tensor = torch.ops.sngan_cond.multiply(a, b)
        return product

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = ctx.saved_tensors
        wants_a, wants_b = ctx.needs_input_grad
        return multiply(grad, b.mT) if wants_a else None, multiply(a.mT, grad) if wants_b else None


@torch.library.impl(_OPERATORS, "multiply", "Meta")
def _shaped(a: Tensor, b: Tensor) -> Tensor:
    if a.shape[:-2] != b.shape[:-2] or a.shape[-1] != b.shape[-2]:  # the kernel would read beyond their ends
        raise ValueError(f"a {tuple(a.shape)}, b {tuple(b.shape)}: allowed are (..., M, K) and (..., K, N)")
    return a.new_empty(*a.shape[:-1], b.shape[-1])


@torch.library.impl(_OPERATORS, "multiply", "CPU")
def _multiplied(a: Tensor, b: Tensor) -> Tensor:
    product = _shaped(a, b)
    sizes = a.shape[:-2].numel(), *product.shape[-2:], a.shape[-1]
    (a, *a_steps), (b, *b_steps) = _in_memory(a), _in_memory(b)
    if product.numel():  # the kernel divides by the number of its blocks
        native.run("multiply", product, a, b, product, *sizes, *a_steps, *b_steps)
    return product


@torch.library.impl(_OPERATORS, "multiply", "CompositeImplicitAutograd")
def _decomposed(a: Tensor, b: Tensor) -> Tensor:
    return a @ b  # what is asked for by tools that look on, such as the counter


def _in_memory(matrix: Tensor) -> tuple[Tensor, int, int]:
    """Return the contiguous tensor that holds a matrix or its transpose, and how far apart rows and columns lie."""
    if matrix.mT.is_contiguous():
        return matrix.mT, 1, matrix.shape[-2]
    return matrix.contiguous(), matrix.shape[-1], 1
