"""The Triton kernels in Triton's interpreter against plain PyTorch in float64.

A program of its own, because Triton looks at the environment when it is imported.

TRITON_INTERPRET=1 python -m tests.sngan_cond.fast.in_interpreter power_iteration batch_norm
"""

import copy
import itertools
import sys
from typing import Any
from unittest import mock

import pytest
import torch
import triton
from torch import Tensor, nn
from triton.runtime import interpreter

from sngan_cond.fast import batch_norm, batch_norm_triton, power_iteration_triton
from sngan_cond.fast.power_iteration import power_iteration


def check_power_iteration() -> None:
    """Shapes beside and on the kernels' blocks; weights that move; a network's copy; a capture."""
    torch.manual_seed(0)
    for rounds, shapes in ((1, [(7, 27), (2, 520), (66, 33), (64, 32)]), (3, [(5, 5), (9, 40)])):
        _agrees(power_iteration_triton.Plans(), [torch.randn(shape) for shape in shapes], rounds)

    plans = power_iteration_triton.Plans()
    matrices = [torch.randn(7, 40), torch.randn(3, 5)]
    _agrees(plans, matrices, 1)
    first = plans.fitting(matrices)
    for matrix in matrices:
        matrix.mul_(2).add_(0.1)  # as an optimiser does
    _agrees(plans, matrices, 1)
    assert plans.fitting(matrices) is first
    matrices[1] = torch.randn(3, 5)
    _agrees(plans, matrices, 1)
    assert plans.fitting(matrices) is not first
    others, others_plans = copy.deepcopy((matrices, plans))  # a network's copy has copies of its hooks
    for matrix in matrices:
        matrix.fill_(float("nan"))
    _agrees(others_plans, others, 1)

    with mock.patch.object(power_iteration_triton, "_is_capturing", return_value=True):
        recorded = others_plans.fitting(others)
        with pytest.raises(RuntimeError, match="before"):
            others_plans.fitting([torch.randn(4, 4)])
    _agrees(others_plans, [torch.randn(4, 4)], 1)
    assert recorded in others_plans._recorded  # a graph may still read its tables


def _agrees(plans: power_iteration_triton.Plans, matrices: list[Tensor], rounds: int) -> None:
    us = [torch.randn(len(matrix)) for matrix in matrices]
    found = plans.fitting(matrices).run(us, rounds)
    for results, matrix, start in zip(found, matrices, us, strict=True):
        for ours, exact in zip(results, power_iteration(matrix.double(), start.double(), rounds), strict=True):
            # 600 products and sums in float32, each rounded by 6e-8 of terms below 1
            torch.testing.assert_close(ours.double(), exact, rtol=1e-5, atol=1e-6)


# Images, channels, height, width: fewer than a tile, beside and beyond tiles of pixels and of channels.
SIZES = [(6, 3, 1, 1), (3, 5, 5, 7), (2, 70, 3, 4), (2, 64, 9, 8), (1, 129, 7, 11)]
TYPES = (torch.float32, torch.bfloat16, torch.float16)


def check_batch_norm() -> None:
    """Every size, type and mode once."""
    cases = [(SIZES[i % 5], TYPES[i % 3], i % 2 == 0, i % 4 < 2) for i in range(8)]
    with mock.patch.object(batch_norm_triton, "PROGRAMS", 6):  # sums of several parts, and of several tiles each
        for case in cases:
            _compare(*case)
    _far_mean()
    _not_finite()


def check_batch_norm_in_all_combinations() -> None:
    for i, case in enumerate(itertools.product(SIZES, TYPES[:2], (True, False), (True, False))):
        with mock.patch.object(batch_norm_triton, "PROGRAMS", (6, 1056)[i % 2]):
            _compare(*case)
    _compare((2, 3, 40, 41), torch.float32, True, True)


def _compare(size: tuple[int, int, int, int], dtype: torch.dtype, per_image: bool, training: bool) -> None:
    torch.manual_seed(0)
    n, channels = size[:2]
    norm = nn.BatchNorm2d(channels, eps=2e-5, momentum=0.1, affine=False).train(training)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    exact_norm = copy.deepcopy(norm).double()
    rows = n if per_image else 1
    x = (torch.randn(size) * 2 + torch.randn(1, channels, 1, 1)).to(dtype)
    gain, bias, grad = torch.randn(rows, channels), torch.randn(rows, channels), torch.randn(size).to(dtype)
    ours, exact = ([t.detach().to(kind).requires_grad_() for t, kind in zip((x, gain, bias), kinds, strict=True)]
                   for kinds in ((dtype, torch.float32, torch.float32), (torch.float64,) * 3))  # fmt: skip
    y = batch_norm.batch_norm_relu(ours[0], norm, ours[1], ours[2])
    z = exact_norm(exact[0]) * exact[1][:, :, None, None] + exact[2][:, :, None, None]
    # Where rounding decides what the ReLU lets through, gradients differ by a whole element; such are left out.
    grad = torch.where(z.detach().abs() < 1e-4, 0, grad)
    gradients = torch.autograd.grad(y, ours, grad)
    exact_gradients = torch.autograd.grad(z.relu(), exact, grad.double())
    assert y.dtype == gradients[0].dtype == dtype
    assert y.is_contiguous(memory_format=torch.channels_last)
    # One rounding to the features' type, which the interpreter makes towards 0 in bfloat16; in float32 those of sums of
    # up to 3,000 terms.
    features = {torch.float32: 1e-5, torch.bfloat16: 2**-7, torch.float16: 2**-10}[dtype]
    for name, found, wanted, rtol in (
        ("y", y, z.relu(), features),
        ("x", gradients[0], exact_gradients[0], features),
        ("gain", gradients[1], exact_gradients[1], 1e-5),
        ("bias", gradients[2], exact_gradients[2], 1e-5),
        ("mean", norm.running_mean, exact_norm.running_mean, 1e-6),
        ("var", norm.running_var, exact_norm.running_var, 1e-6),
    ):
        # All are of order 1 or more, unless terms cancel.
        error = (found.double() - wanted).abs().max() / wanted.abs().max().clamp(min=1)
        assert error < rtol, f"{name} of {size}, {dtype}, per image {per_image}, training {training}: {error:.1e}"
    assert norm.num_batches_tracked == exact_norm.num_batches_tracked


def _far_mean() -> None:
    """3,000 deviations from 0: E[x^2] - E[x]^2 in float32 would be noise."""
    torch.manual_seed(0)
    x = torch.randn(2, 40, 41, 3) + 3000
    mean, var = batch_norm_triton.moments(x)
    exact_var, exact_mean = torch.var_mean(x.double(), (0, 1, 2), correction=0)
    torch.testing.assert_close(mean.double(), exact_mean, rtol=1e-7, atol=0)
    torch.testing.assert_close(var.double(), exact_var, rtol=2e-5, atol=0)  # means of parts are rounded to 1e-4
    assert not torch.allclose(x.square().mean((0, 1, 2)) - x.mean((0, 1, 2)).square(), var, rtol=1e-2)


def _not_finite() -> None:
    x = torch.randn(2, 3, 4, 5)
    x[1, 2, 3, 4] = float("nan")
    norm = nn.BatchNorm2d(3, affine=False)
    y = batch_norm.batch_norm_relu(x, norm, torch.ones(1, 3), torch.zeros(1, 3))
    assert y[:, 2].isnan().all()
    assert not y[:, :2].isnan().any()
    assert norm.running_var.isnan().tolist() == [False, False, True]


CHECKS = {
    "power_iteration": check_power_iteration,
    "batch_norm": check_batch_norm,
    "batch_norm_in_all_combinations": check_batch_norm_in_all_combinations,
}


def _mend_interpreter() -> None:
    """Let a kernel's numbers bound its loops: Triton before 3.8 takes int() of arrays (1,), which NumPy 2.5 refuses."""
    if tuple(map(int, triton.__version__.split(".")[:2])) >= (3, 8):
        return
    patch = interpreter._patch_lang_tensor

    def mended(tensor: type, scope: Any) -> None:
        patch(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: self.handle.data.item())

    interpreter._patch_lang_tensor = mended


if __name__ == "__main__":
    _mend_interpreter()
    with mock.patch.object(batch_norm, "_kernels", return_value=batch_norm_triton):
        for name in sys.argv[1:]:
            CHECKS[name]()
    print("agreed")
