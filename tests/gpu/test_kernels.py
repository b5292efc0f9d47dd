"""Convolutions, power iteration and batch normalisation on a GPU against float64 on the CPU."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from sngan_cond import ConstraintConfig, Discriminator, DiscriminatorConfig, build_constraint
from sngan_cond.config import ConvBackend
from sngan_cond.constraints.spectral import BatchedPowerIterations
from sngan_cond.fast import same_conv2d
from sngan_cond.fast.eager import has_triton
from sngan_cond.fast.padding import padded_conv2d
from sngan_cond.fast.power_iteration import PowerIterations, power_iteration
from sngan_cond.networks.layers import batch_norm
from tests.sngan_cond.fast.test_backends import MAPS, _derivatives, _error, _inputs

pytestmark = pytest.mark.gpu

LAYOUTS = (torch.contiguous_format, torch.channels_last)


def replayed(compute: Callable[[], Any], device: torch.device) -> Callable[[], Any]:
    """Record a computation as a CUDA graph; each call plays it and returns the same tensors. On a CPU: itself."""
    if device.type == "cpu":
        return compute
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        compute()  # kernels are compiled here, which a recording cannot
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = compute()

    def play() -> Any:
        graph.replay()
        return result

    return play


def assert_as_in_float64(
    convolve: Callable[..., Tensor], plain: Callable[..., Tensor], given: tuple[Tensor, ...], device: torch.device
) -> None:
    """Sums of up to 9 * 72 float32 products; transforms of a library may lose two binary digits more."""
    exact = [tensor.detach().double().requires_grad_() for tensor in given]
    y = plain(*exact)
    expected = [y, *_derivatives(y, *exact)]
    for layout in LAYOUTS:
        x, weight = (t.detach().to(device, memory_format=layout).requires_grad_() for t in given[:2])
        bias = given[2].detach().to(device).requires_grad_()
        y = convolve(x, weight, bias)
        for ours, exactly in zip([y, *_derivatives(y, x, weight, bias)], expected, strict=True):
            assert _error(ours.cpu().double(), exactly) < 2e-5


def test_kernels_in_triton_are_what_is_tested_here(device: torch.device) -> None:
    assert has_triton() == (device.type == "cuda")


@pytest.mark.parametrize("side", [1, 3])
@pytest.mark.parametrize("channels", [(5, 7), (3, 16), (16, 3), (72, 64)])
@pytest.mark.parametrize("backend", get_args(ConvBackend))
@pytest.mark.parametrize("name", list(MAPS))
def test_convolutions_and_their_derivatives(
    name: str, backend: str, channels: tuple[int, int], side: int, device: torch.device
) -> None:
    ours, plain = (partial(MAPS[name], backend=kind) for kind in (backend, "plain"))
    assert_as_in_float64(ours, plain, _inputs(torch.float32, side, *channels), device)


@pytest.mark.parametrize("side", [1, 3])
@pytest.mark.parametrize("channels", [(3, 16), (16, 3)])
def test_padded_convolutions_and_their_derivatives(channels: tuple[int, int], side: int, device: torch.device) -> None:
    given = _inputs(torch.float32, side, *channels)
    assert_as_in_float64(padded_conv2d, partial(same_conv2d, backend="plain"), given, device)


@pytest.mark.parametrize("name", list(MAPS))
def test_convolutions_in_bfloat16(name: str, device: torch.device) -> None:
    """Inputs and results have 8 bits; what sums in pieces rounds once more. ("minimal" is made for processors.)"""
    given = [tensor.detach() for tensor in _inputs(torch.float32, 3, 64, 48)]
    exact = MAPS[name](*(tensor.double() for tensor in given), "plain")
    x, weight, bias = (tensor.to(device) for tensor in given)
    errors = {}
    for backend in set(get_args(ConvBackend)) - {"minimal"}:
        with torch.autocast(device.type, torch.bfloat16):
            y = MAPS[name](x.contiguous(memory_format=torch.channels_last), weight, bias, backend)
        assert y.dtype == torch.bfloat16
        errors[backend] = ((y.cpu().double() - exact).norm() / exact.norm()).item()
    assert 1e-3 < errors["plain"] < 5e-3
    assert max(errors.values()) < 2.2 * errors["plain"], errors


@pytest.mark.parametrize("rounds", [1, 3])
def test_power_iterations(rounds: int, device: torch.device) -> None:
    torch.manual_seed(0)
    matrices = [torch.randn(shape) for shape in [(7, 27), (1, 300), (33, 520), (5, 5), (130, 1), (257, 1153)]]
    us = [torch.randn(len(matrix)) for matrix in matrices]
    found = PowerIterations()([matrix.to(device) for matrix in matrices], [u.to(device) for u in us], rounds)
    for ours, matrix, u in zip(found, matrices, us, strict=True):
        for value, exact in zip(ours, power_iteration(matrix.double(), u.double(), rounds), strict=True):
            torch.testing.assert_close(value.cpu().double(), exact, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_power_iterations_in_a_graph_follow_the_weights(device: torch.device) -> None:
    torch.manual_seed(0)
    D = Discriminator(DiscriminatorConfig(resolution=32, num_classes=5, channels=7))
    build_constraint(ConstraintConfig()).attach(D)
    exact, start = copy.deepcopy(D).double(), copy.deepcopy(D.state_dict())
    D.to(device, memory_format=torch.channels_last)
    BatchedPowerIterations().attach(D)
    x, y = torch.randn(3, 3, 32, 32), torch.tensor([0, 4, 2])
    on_device = x.to(device), y.to(device)
    play = replayed(lambda: D(*on_device).score, device)
    D.load_state_dict(start)  # in place; recording has moved u
    for _ in range(3):
        for ours, exactly in zip(D.parameters(), exact.parameters(), strict=True):
            change = 0.1 * torch.randn(ours.shape)
            ours.add_(change.to(device))
            exactly.add_(change)
        # float32: sums of up to 63 products in each of nine layers
        torch.testing.assert_close(play().cpu().double(), exact(x.double(), y).score, rtol=1e-4, atol=1e-5)
        for (name, ours), exactly in zip(D.named_buffers(), exact.buffers(), strict=True):
            assert _error(ours.cpu().double(), exactly) < 2e-5, name


SIZES = [(1, 2, 3, 5), (5, 6, 5, 7), (70, 3, 9, 4), (256, 4, 1, 1)]  # channels, images, height, width


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("num_classes", [0, 4])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_batch_norm_and_relu(
    size: tuple[int, int, int, int],
    num_classes: int,
    layout: torch.memory_format,
    dtype: torch.dtype,
    device: torch.device,
) -> None:
    """Forward, backward and running statistics, eagerly and from a graph that sees other inputs than it was made with.

    A mean of three standard deviations: sums of squares about 0 would cancel.
    """
    torch.manual_seed(1)
    channels, n, height, width = size
    exact = batch_norm(channels, num_classes).double()
    for parameter in exact.parameters():
        nn.init.normal_(parameter, 0.5)
    exact.backend = "plain"
    norm, start = copy.deepcopy(exact).to(device, torch.float32), copy.deepcopy(exact.state_dict())
    norm.backend = "auto"
    x, y = (torch.randn(n, channels, height, width) * 2 + 6).to(dtype), torch.randint(4, (n,))
    weights = torch.linspace(-1, 1, x.numel()).view(x.shape).to(dtype)
    # Where a value is so near to 0 that rounding decides its slope, no gradient is looked at.
    near = exact(x.double(), y).detach().abs() < (1e-4 if dtype == torch.float32 else 5e-2)
    weights[near] = 0

    def everything(norm: nn.Module, x: Tensor, y: Tensor, weights: Tensor) -> list[Tensor]:
        h = norm(x, y, relu=True)
        return [h, *torch.autograd.grad((h * weights).sum(), (x, *norm.parameters()))]

    on_device = torch.zeros_like(x).to(device, memory_format=layout).requires_grad_(), y.to(device), weights.to(device)
    play = replayed(lambda: everything(norm, *on_device), device)
    with torch.no_grad():
        on_device[0].copy_(x)
    for network in (norm, exact):
        network.load_state_dict(start)  # in place; what came before has moved the running statistics
    found = play()
    expected = everything(exact, x.double().requires_grad_(), y, weights.double())
    assert found[0].dtype == dtype
    assert layout is torch.contiguous_format or found[0].is_contiguous(memory_format=layout)
    tolerance = 3e-5 if dtype == torch.float32 else 2**-6  # a few roundings to 8 bits, or one
    for ours, exactly in zip(found, expected, strict=True):
        assert _error(ours.detach().cpu().double(), exactly) < tolerance
    for (name, ours), exactly in zip(norm.named_buffers(), exact.buffers(), strict=True):
        assert _error(ours.cpu().double(), exactly.double()) < 3e-5, name  # float32, whatever the features are
