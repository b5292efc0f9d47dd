"""The native matrix multiplication against float64, on this processor and as on one with narrower vectors."""

import platform
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks.arithmetic import count_flop
from sngan_cond.fast import native
from sngan_cond.fast.matmul import multiply

pytestmark = pytest.mark.skipif(not native.available(), reason="there is no C++ compiler for the native kernels")

# (batch, M, N, K). The kernel's blocks are 6 or 14 rows, 16 or 32 columns, 128 or 256 columns and 256 deep: sizes
# below, at and past each of them.
SIZES = [
    (1, 1, 1, 1),
    (2, 5, 7, 3),
    (1, 14, 32, 256),
    (3, 29, 70, 257),
    (1, 131, 301, 40),
    (2, 1300, 33, 9),
    (1, 3, 600, 700),
]


def _matrices(batch: int, m: int, n: int, k: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(m + n + k)
    return torch.randn(batch, m, k) + 0.1, torch.randn(batch, k, n) * torch.linspace(0.5, 2, n)


def _transposed_in_memory(matrix: Tensor) -> Tensor:
    return matrix.mT.contiguous().mT


def _check_all_sizes() -> None:
    """Two orders of K roundings part by about sqrt(K) of them; the bound is on the row and column that meet."""
    for size in SIZES:
        a, b = _matrices(*size)
        exact = a.double() @ b.double()
        bound = 2e-7 * size[-1] ** 0.5 * (a.double().norm(dim=-1)[..., None] * b.double().norm(dim=-2)[..., None, :])
        for left in (a, _transposed_in_memory(a), a.repeat(1, 1, 2)[..., : size[-1]]):
            for right in (b, _transposed_in_memory(b)):
                product = multiply(left, right)
                assert product.is_contiguous()
                assert ((product - exact).abs() <= bound).all()
        assert torch.equal(multiply(a[0], b[0]), multiply(a, b)[0])


def test_products_are_those_of_float64() -> None:
    _check_all_sizes()


@pytest.fixture
def _without_avx512(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(native, "_FLAGS", (*native._FLAGS, "-mno-avx512f"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    native._library.cache_clear()
    yield
    native._library.cache_clear()


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="names an instruction set of x86")
@pytest.mark.usefixtures("_without_avx512")
def test_products_are_those_of_float64_without_avx512() -> None:
    assert native.available()
    _check_all_sizes()


def test_neither_other_rows_nor_threads_change_a_bit() -> None:
    a, b = _matrices(2, 613, 150, 300)
    whole, threads = multiply(a, b), torch.get_num_threads()
    for some in (slice(0, 1), slice(5, 22), slice(40, 613)):
        assert torch.equal(multiply(a[:, some], b), whole[:, some])
    try:
        for other in (1, 3):
            torch.set_num_threads(other)
            assert torch.equal(multiply(a, b), whole)
    finally:
        torch.set_num_threads(threads)


def test_a_value_that_is_not_finite_stays_in_its_row() -> None:
    a, b = _matrices(1, 20, 40, 10)
    a[0, 3, 4] = float("inf")
    product = multiply(a, b)
    assert not product[0, 3].isfinite().any()
    assert product[0, torch.arange(20) != 3].isfinite().all()


def test_other_types_are_multiplied_by_pytorch() -> None:
    for dtype in (torch.float64, torch.bfloat16):
        a, b = (matrix.to(dtype) for matrix in _matrices(2, 5, 7, 3))
        assert torch.equal(multiply(a, b), a @ b)


def test_derivatives_are_those_of_pytorch() -> None:
    def derivatives(product: Tensor, a: Tensor, b: Tensor) -> list[Tensor]:
        first = torch.autograd.grad((product.sin() * product).sum(), (a, b), create_graph=True)
        return [*first, *torch.autograd.grad(sum(gradient.square().sum() for gradient in first), (a, b))]

    a, b = (matrix.requires_grad_() for matrix in _matrices(2, 15, 33, 4))
    for ours, exact in zip(
        derivatives(multiply(a, b), a, b),
        derivatives(a.double() @ b.double(), a, b),
        strict=True,
    ):
        torch.testing.assert_close(ours, exact.float(), rtol=1e-4, atol=1e-5 * exact.abs().max().item())
    frozen = multiply(a.detach(), b)
    assert torch.autograd.grad(frozen.sum(), b)[0].shape == b.shape


def test_pytorch_knows_the_operator() -> None:
    a, b = _matrices(2, 5, 7, 3)
    with FakeTensorMode() as mode:
        fake = torch.ops.sngan_cond.multiply(mode.from_tensor(a), mode.from_tensor(b))
    assert fake.shape == (2, 5, 7)
    torch.library.opcheck(torch.ops.sngan_cond.multiply.default, (a, b), test_utils=("test_schema", "test_faketensor"))


def test_shapes_that_do_not_fit_and_empty_ones() -> None:
    a, b = _matrices(2, 5, 7, 3)
    for left, right in ((a, b[0]), (a, b[:1]), (a, b[:, :2])):
        with pytest.raises(ValueError, match="allowed are"):
            multiply(left, right)
    assert multiply(a[:, :0], b).shape == (2, 0, 7)
    assert multiply(a, b[..., :0]).shape == (2, 5, 0)


def test_its_arithmetic_is_counted() -> None:
    class Once:
        def update(self, name: str) -> None:
            multiply(*_matrices(2, 5, 7, 3 if name == "d" else 4))

    assert count_flop(Once()) == {"d": 2 * 2 * 5 * 7 * 3, "g": 2 * 2 * 5 * 7 * 4}  # type: ignore[arg-type]
