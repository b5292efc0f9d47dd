"""Every backend of a convolution against the plain one."""

import itertools
import runpy
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from sngan_cond import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from sngan_cond.fast import (
    choices,
    conv_mean_pool2d,
    dispatch,
    gemm_conv,
    native,
    same_conv2d,
    set_backend,
    upsample_conv2d,
    winograd,
)
from sngan_cond.networks.layers import SameConv2d
from tests.processes import run
from tests.refusals import refused

MAPS = {"upsample": upsample_conv2d, "mean_pool": conv_mean_pool2d, "same": same_conv2d}
CL = torch.channels_last
needs_native = pytest.mark.skipif(not native.available(), reason="there is no C++ compiler for the native kernels")


def _inputs(dtype: torch.dtype, side: int, c_in: int = 5, c_out: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    """Unequal sides, channels and values, so that no mix-up goes unseen; results are of order 1."""
    torch.manual_seed(0)
    x = torch.randn(3, c_in, 6, 10, dtype=dtype) + torch.linspace(0, 2, 10, dtype=dtype)
    weight = torch.randn(c_out, c_in, side, side, dtype=dtype) / (side * c_in**0.5)
    return x.requires_grad_(), weight.requires_grad_(), torch.randn(c_out, dtype=dtype, requires_grad=True)


def _derivatives(y: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> list[Tensor]:
    """First derivatives of an uneven function, and those of a gradient penalty."""
    weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype, device=y.device).view(y.shape)
    first = torch.autograd.grad((y.sin() * weights).sum(), (x, weight, bias), retain_graph=True)
    (gradient,) = torch.autograd.grad((y.sin() * weights).sum(), x, create_graph=True)
    return [*first, *torch.autograd.grad(gradient.square().sum(), (x, weight))]


def _error(ours: Tensor, plain: Tensor) -> float:
    assert ours.shape == plain.shape
    return ((ours - plain).abs().max() / plain.abs().max()).item()


# Sums of a hundred terms of order 1, each rounded to 1e-16; Winograd's take differences of larger ones.
@pytest.mark.parametrize("is_channels_last", [False, True])
@pytest.mark.parametrize("side", [1, 3])
@pytest.mark.parametrize(("backend", "bound"), [("strided", 1e-13), ("shuffled", 1e-13), ("minimal", 1e-12)])
@pytest.mark.parametrize("name", list(MAPS))
def test_identities_hold_in_float64(name: str, backend: str, bound: float, side: int, is_channels_last: bool) -> None:
    x, weight, bias = _inputs(torch.float64, side)
    if is_channels_last:
        x, weight = (t.detach().contiguous(memory_format=CL).requires_grad_() for t in (x, weight))
    ours, plain = (MAPS[name](x, weight, bias, kind) for kind in (backend, "plain"))
    errors = [_error(a, b) for a, b in zip(*(_derivatives(y, x, weight, bias) for y in (ours, plain)), strict=True)]
    assert max(_error(ours, plain), *errors) < bound
    assert _error(MAPS[name](x, weight, None, backend), MAPS[name](x, weight, None, "plain")) < bound
    if is_channels_last:
        assert ours.is_contiguous(memory_format=CL)


@needs_native
@pytest.mark.parametrize("channels", [(5, 7), (70, 66)])
@pytest.mark.parametrize("name", list(MAPS))
def test_native_kernels_round_like_the_plain_backend(
    name: str, channels: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Float32: about sqrt(9 * channels) roundings of 6e-8 are in a sum; groups of one image each change nothing."""
    x, weight, bias = _inputs(torch.float32, 3, *channels)
    for group_bytes in (gemm_conv.GROUP_BYTES, 1):
        plain = MAPS[name](x, weight, bias, "plain")
        monkeypatch.setattr(gemm_conv, "GROUP_BYTES", group_bytes)
        ours = MAPS[name](x, weight, bias, "minimal")
        assert ours.is_contiguous(memory_format=torch.channels_last)
        pairs = zip(*(_derivatives(y, x, weight, bias) for y in (ours, plain)), strict=True)
        assert 0 < max(_error(ours, plain), *(_error(a, b) for a, b in pairs)) < 1e-5


@needs_native
@pytest.mark.parametrize("name", list(MAPS))
def test_in_float32_an_image_has_the_same_bits_in_any_batch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, bias = (t.detach() for t in _inputs(torch.float32, 3, 70, 66))
    largest = max(x[0].numel(), MAPS[name](x, weight, bias, "plain")[0].numel()) * 4
    monkeypatch.setattr(gemm_conv, "GROUP_BYTES", 2 * 4 * largest)  # two images in a group, and one that is left over
    together = MAPS[name](x, weight, bias, "minimal")
    for n in range(3):
        assert torch.equal(MAPS[name](x[n : n + 1], weight, bias, "minimal"), together[n : n + 1])


@needs_native
@pytest.mark.parametrize("name", list(MAPS))
def test_native_kernels_agree_with_their_definition(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, bias = _inputs(torch.float32, 3, 33, 35)
    ours = MAPS[name](x, weight, bias, "minimal")
    monkeypatch.setattr(native, "available", lambda: False)
    assert _error(ours, MAPS[name](x, weight, bias, "minimal")) < 2e-6


@needs_native
@pytest.mark.parametrize("name", list(MAPS))
def test_in_bfloat16_the_error_is_at_most_twice_that_of_the_plain_backend(name: str) -> None:
    """Both round inputs and results to 8 bits; the minimal backend rounds its sums once more."""
    x, weight, bias = (t.detach() for t in _inputs(torch.float32, 3, 64, 48))
    exact = MAPS[name](x.double(), weight.double(), bias.double(), "plain")
    with torch.autocast("cpu", torch.bfloat16):
        ours, plain = (MAPS[name](x, weight, bias, backend).double() for backend in ("minimal", "plain"))
    errors = [((y - exact).norm() / exact.norm()).item() for y in (ours, plain)]
    assert 1e-3 < errors[1] < 5e-3
    assert errors[0] < 2.2 * errors[1]


@needs_native
@pytest.mark.parametrize("name", list(MAPS))
def test_a_value_that_is_not_finite_is_not_lost(name: str) -> None:
    x, weight, bias = (t.detach() for t in _inputs(torch.float32, 3, 40, 40))
    x[1, 3, 2, 4] = float("nan")
    for dtype in (torch.float32, torch.bfloat16):
        y = MAPS[name](x.to(dtype), weight.to(dtype), bias.to(dtype), "minimal")
        assert y[1].isnan().any()
        assert not y[0].isnan().any()
        assert not y[2].isnan().any()


def test_autocast_to_a_type_without_native_kernels_is_plain() -> None:
    x, weight, bias = _inputs(torch.float32, 3, 64, 64)
    with torch.autocast("cpu", dtype=torch.float16):
        y = same_conv2d(x, weight, bias, backend="minimal")
    torch.testing.assert_close(y.float(), same_conv2d(x, weight, bias, backend="plain"), rtol=2e-2, atol=2e-2)


def test_without_a_home_there_are_no_native_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(native.Path, "home", none)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert native._library.__wrapped__() is None


def test_pytorchs_defaults_at_the_import_change_no_transform() -> None:
    """The native kernels read them by their addresses."""
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            loaded = runpy.run_path(winograd.__file__)
    finally:
        torch.set_default_dtype(torch.float32)
    for name in ("UPSAMPLE_FILTER", "MEAN_POOL_FILTER", "WINOGRAD_FILTER"):
        torch.testing.assert_close(loaded[name], getattr(winograd, name), rtol=0, atol=0)  # compares types and devices


@pytest.mark.slow
@needs_native
def test_kernels_are_compiled_once_and_that_is_said(tmp_path: Path) -> None:
    ask = [sys.executable, "-c", "from sngan_cond.fast import native; print(native.available())"]
    with ThreadPoolExecutor() as pool:  # two processes that find none, at once
        first = list(pool.map(lambda _: run(ask, XDG_CACHE_HOME=str(tmp_path)), range(2)))
    (library,) = (tmp_path / "sngan-cond").iterdir()
    for done in first:
        assert done.stdout == "True\n"
        assert done.stderr == f"compiling kernels for this processor, once, about 3 s: {library}\n"
    again = run(ask, XDG_CACHE_HOME=str(tmp_path))
    assert (again.stdout, again.stderr) == ("True\n", "")
    nowhere = run(ask, XDG_CACHE_HOME=str(library))  # a file: like a home that cannot be written to
    assert (nowhere.stdout, nowhere.stderr) == ("False\n", "")


def test_a_backend_is_set_on_every_layer_and_leaves_the_state_alone() -> None:
    networks = [
        Generator(GeneratorConfig(resolution=32, num_classes=3, channels=8)),
        Discriminator(DiscriminatorConfig(resolution=32, num_classes=3, channels=8)),
    ]
    for network in networks:
        names = set(network.state_dict())
        set_backend(network, "strided", pad_channels=True)
        layers = [module for module in network.modules() if hasattr(module, "backend")]
        assert len(layers) >= 7
        assert {layer.backend for layer in layers} == {"strided"}
        assert {layer.pad_channels for layer in layers if isinstance(layer, SameConv2d)} == {True}
        assert set(network.state_dict()) == names
    assert (SameConv2d.backend, SameConv2d.pad_channels) == ("auto", "auto")
    refused(lambda: set_backend(networks[0], "fastest"), "backend='fastest'")
    refused(lambda: set_backend(networks[0], "auto", pad_channels="always"), "pad_channels='always'")


def test_odd_sides_keep_the_plain_convolution() -> None:
    x, weight = torch.randn(2, 40, 7, 9), torch.randn(40, 40, 3, 3)
    assert torch.equal(same_conv2d(x, weight, None, "minimal"), same_conv2d(x, weight, None, "plain"))


def test_what_auto_chooses_does_not_depend_on_the_batch() -> None:
    weight = torch.empty(64, 64, 3, 3)
    for layer in ("upsample", "mean_pool", "same"):
        assert len({dispatch._form(layer, torch.empty(n, 64, 8, 8), weight, "auto", 8) for n in (1, 2, 64)}) == 1


@pytest.mark.parametrize("name", ["mean_pool", "same"])
@pytest.mark.parametrize("channels", [(3, 13), (13, 3)])
@pytest.mark.parametrize("side", [1, 3])
def test_padded_channels_change_nothing_in_float64(name: str, channels: tuple[int, int], side: int) -> None:
    x, weight, bias = _inputs(torch.float64, side, *channels)
    multiplied = []
    for pads in (True, False):
        with FlopCounterMode(display=False) as counter:
            MAPS[name](x, weight, bias, "strided", pads)
        multiplied.append(counter.get_total_flops())
    is_joined = name == "mean_pool" and side == 3  # a 4x4 kernel, of features only
    assert multiplied[0] == multiplied[1] * (1 if is_joined else 8 * 16 / (3 * 13))
    ours, plain = (MAPS[name](x, weight, bias, "strided", pads) for pads in (True, False))
    errors = [_error(a, b) for a, b in zip(*(_derivatives(y, x, weight, bias) for y in (ours, plain)), strict=True)]
    assert max(_error(ours, plain), *errors) < 1e-13


def test_every_device_and_layer_has_a_form_for_all_shapes() -> None:
    for (device, layer), rows in choices.CHOICES.items():
        assert rows[-1][2:] == (0, 0, False), (device, layer)  # the last row takes what is left
        for is_fused in (True, False):
            for channels, side in itertools.product((1, 31, 32, 1024), (1, 7, 8, 16, 64)):
                form = choices.choose(layer, device, channels=channels, side_px=side, is_fused=lambda f=is_fused: f)
                assert form in get_args(choices.Form)
                assert form != "minimal" or (device == "cpu" and channels >= 32)
    assert {device for device, _ in choices.CHOICES} == {"cpu", "gpu"}
    assert len(choices.CHOICES) == 2 * len(get_args(choices.Layer))
    assert choices.choose("upsample", "cuda", channels=64, side_px=7, is_fused=pytest.fail) == "plain"


@pytest.mark.parametrize(("side", "multiplications_a_small_pixel"), [(4, 36), (8, 16)])
def test_off_the_cpu_upsampling_below_8_px_is_plain(side: int, multiplications_a_small_pixel: int) -> None:
    x, weight = torch.empty(2, 5, side, side, device="meta"), torch.empty(7, 5, 3, 3, device="meta")
    with FlopCounterMode(display=False) as counter:
        assert upsample_conv2d(x, weight, None).shape == (2, 7, 2 * side, 2 * side)
    assert counter.get_total_flops() == 2 * multiplications_a_small_pixel * 2 * 5 * 7 * side**2
