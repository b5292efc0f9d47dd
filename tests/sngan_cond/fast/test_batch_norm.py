"""Fused batch normalisation and ReLU against PyTorch's own."""

import copy

import pytest
import torch
from torch import Tensor, nn

from sngan_cond.fast import native
from sngan_cond.networks.layers import batch_norm

pytestmark = pytest.mark.skipif(not native.available(), reason="there is no C++ compiler for the native kernels")


def _pair(channels: int, num_classes: int) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(1)
    fused = batch_norm(channels, num_classes)
    for parameter in fused.parameters():
        nn.init.normal_(parameter, 0.5)
    plain = copy.deepcopy(fused)
    fused.backend, plain.backend = "minimal", "plain"
    return fused, plain


def _everything(norm: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    h = norm(x, y, relu=True)
    value = (h.sin() * torch.linspace(-1, 1, h.numel()).view(h.shape)).sum()
    first = torch.autograd.grad(value, (x, *norm.parameters()), retain_graph=True)
    (gradient,) = torch.autograd.grad(value, x, create_graph=True)
    second = torch.autograd.grad(gradient.square().sum(), (x, *norm.parameters()), allow_unused=True)
    return [h, *first, *(s for s in second if s is not None), *(b for b in norm.buffers() if b.is_floating_point())]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("num_classes", [0, 4])
@pytest.mark.parametrize("channels", [5, 70])
def test_values_derivatives_and_running_statistics(channels: int, num_classes: int, training: bool) -> None:
    """A mean of three standard deviations, so that sums of squares would cancel if they were taken about 0."""
    fused, plain = _pair(channels, num_classes)
    x = (torch.randn(6, channels, 5, 7) * 2 + 6).requires_grad_()
    y = torch.randint(4, (6,))
    for norm in (fused, plain):
        for buffer in norm.buffers():
            buffer.fill_(2)
        norm.train(training)
    for ours, expected in zip(_everything(fused, x, y), _everything(plain, x, y), strict=True):
        assert ((ours - expected).abs().max() / expected.abs().max()).item() < 3e-5


def test_class_mixtures() -> None:
    fused, plain = _pair(6, 4)
    x, weights = torch.randn(3, 6, 4, 4), torch.rand(3, 4)
    torch.testing.assert_close(fused(x, weights, relu=True), plain(x, weights, relu=True), rtol=1e-5, atol=1e-6)


def test_statistics_are_float32_in_bfloat16() -> None:
    fused, plain = _pair(64, 4)
    x, y = torch.randn(4, 64, 8, 8) + 1, torch.randint(4, (4,))
    rounded = x.bfloat16()
    ours, expected = fused(rounded, y, relu=True), plain(rounded.float(), y, relu=True)
    assert ours.dtype == torch.bfloat16
    torch.testing.assert_close(ours.float(), expected, rtol=2**-8, atol=2**-8)  # one rounding to 8 bits
    for ours_kept, kept in zip(fused.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(ours_kept, kept, rtol=1e-5, atol=1e-6)
    assert int(fused.norm.num_batches_tracked) == 1


def test_a_value_that_is_not_finite_is_not_cut_away() -> None:
    fused, _ = _pair(5, 4)
    x = torch.randn(2, 5, 4, 4)
    x[0, 1, 2, 3] = float("nan")
    assert fused.train()(x, torch.tensor([0, 1]), relu=True)[:, 1].isnan().all()
