"""Fused batch normalisation and ReLU against PyTorch's own."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from sngan_cond.fast import native
from sngan_cond.fast.batch_norm import runs_fused
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


def test_gradients_without_others() -> None:
    """Of a frozen norm, and of a norm of constant features, also differentiably."""
    fused, plain = _pair(6, 4)
    x, y = torch.randn(3, 6, 4, 4), torch.randint(4, (3,))
    for wanted in ("features", "parameters"):
        for norm in (fused, plain):
            norm.requires_grad_(wanted == "parameters")
        x.requires_grad_(wanted == "features")
        second = []
        for norm in (fused, plain):
            inputs = [x] if x.requires_grad else list(norm.parameters())
            first = torch.autograd.grad(norm(x, y, relu=True).sin().sum(), inputs, create_graph=True)
            second.append([*first, *torch.autograd.grad(sum(g.square().sum() for g in first), inputs)])
        torch.testing.assert_close(*second, rtol=1e-4, atol=1e-5)


def test_batched_gradients() -> None:
    fused, _ = _pair(6, 4)
    x = torch.randn(3, 6, 4, 4, requires_grad=True)
    h = fused(x, torch.randint(4, (3,)), relu=True)
    grads = torch.randn(2, *h.shape)
    (batched,) = torch.autograd.grad(h, x, grads, retain_graph=True, is_grads_batched=True)
    each = [torch.autograd.grad(h, x, grad, retain_graph=True)[0] for grad in grads]
    torch.testing.assert_close(batched, torch.stack(each), rtol=1e-4, atol=1e-5)


def _settings() -> dict[str, Callable[[nn.BatchNorm2d], object]]:
    return {
        "as it is": lambda norm: norm,
        "cumulative": lambda norm: setattr(norm, "momentum", None),
        "not tracking": lambda norm: setattr(norm, "track_running_stats", False),
        "without statistics": lambda norm: (setattr(norm, "running_mean", None), setattr(norm, "running_var", None)),
        "float64": lambda norm: norm.double(),
    }


@pytest.mark.parametrize("setting", list(_settings()))
def test_what_pytorch_does_otherwise_stays_pytorchs(setting: str) -> None:
    fused, plain = _pair(6, 4)
    for norm in (fused, plain):
        _settings()[setting](norm.norm)
    x, y = torch.randn(3, 6, 4, 4, dtype=torch.float64 if setting == "float64" else torch.float32), torch.arange(3)
    assert runs_fused(x, fused.norm, fused.gain, fused.bias, "minimal") == (setting == "as it is")
    for _ in range(2):
        torch.testing.assert_close(fused(x, y, relu=True), plain(x, y, relu=True))
    torch.testing.assert_close(dict(fused.named_buffers()), dict(plain.named_buffers()))


def test_a_single_value_and_an_empty_batch_are_pytorchs() -> None:
    fused, _ = _pair(6, 4)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        fused(torch.randn(1, 6, 1, 1), torch.tensor([0]), relu=True)
    assert fused(torch.randn(0, 6, 2, 2), torch.zeros(0, dtype=torch.int64), relu=True).shape == (0, 6, 2, 2)
    assert fused.eval()(torch.randn(1, 6, 1, 1), torch.tensor([0]), relu=True).shape == (1, 6, 1, 1)


def test_ambient_device_and_type_do_not_matter() -> None:
    fused, plain = _pair(6, 4)
    x, y = torch.randn(3, 6, 4, 4, requires_grad=True), torch.arange(3)
    with torch.device("meta"):
        torch.set_default_dtype(torch.float64)
        try:
            ours = fused(x, y, relu=True)
            (gradient,) = torch.autograd.grad(ours.sum(), x)
        finally:
            torch.set_default_dtype(torch.float32)
    assert ours.dtype == gradient.dtype == torch.float32
    torch.testing.assert_close(ours, plain(x, y, relu=True))


@pytest.mark.parametrize("relu", [True, False])
def test_plain_features_keep_their_type(relu: bool) -> None:
    """In bfloat16 each of the three operations after one another rounds to 8 bits."""
    _, plain = _pair(6, 4)
    x, y = torch.randn(3, 6, 4, 4) + 1, torch.arange(3)
    seen: list[torch.dtype] = []

    class Seen(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            out = func(*args, **(kwargs or {}))
            if isinstance(out, Tensor) and out.ndim == 4 and out.shape[2] > 1:
                seen.append(out.dtype)
            return out

    exact = copy.deepcopy(plain)(x, y, relu=relu)
    with Seen():
        ours = plain(x.bfloat16(), y, relu=relu)
    assert set(seen) == {torch.bfloat16}
    assert ((ours.float() - exact).abs().max() / exact.abs().max()).item() < 3 * 2**-8


def test_a_value_that_is_not_finite_is_not_cut_away() -> None:
    fused, _ = _pair(5, 4)
    x = torch.randn(2, 5, 4, 4)
    x[0, 1, 2, 3] = float("nan")
    assert fused.train()(x, torch.tensor([0, 1]), relu=True)[:, 1].isnan().all()
