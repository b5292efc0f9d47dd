"""Batch normalisation, resampling convolutions and initialisation, each against its definition."""

import math
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sngan_cond import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from sngan_cond.fast import native, set_backend
from sngan_cond.networks import layers
from sngan_cond.networks.layers import (
    BatchNorm2d,
    ConditionalBatchNorm2d,
    ConvMeanPool2d,
    UpsampleConv2d,
    batch_norm,
    init_glorot_,
    init_normal_,
)


def features(scale: float = 2.0) -> torch.Tensor:
    return (torch.randn(4, 3, 5, 7) + 0.5) * scale


@pytest.mark.parametrize("scale", [2.0, 0.005])  # a variance of 2.5e-5 shows which epsilon is added to it
def test_plain_batch_norm_is_chainers(scale: float) -> None:
    norm, x = BatchNorm2d(3), features(scale)
    mean, var = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), unbiased=False)
    expected = (x - mean[:, None, None]) / torch.sqrt(var[:, None, None] + 2e-5)
    torch.testing.assert_close(norm(x, None), expected)
    torch.testing.assert_close(norm.running_mean, 0.1 * mean)
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * x.var(dim=(0, 2, 3), unbiased=True))


def test_a_fresh_conditional_running_variance_is_zero_and_moves_by_a_tenth() -> None:
    norm, x = ConditionalBatchNorm2d(3, 2), features()
    assert norm.norm.running_var is not None
    assert not norm.norm.running_var.any()
    norm(x, torch.tensor([0, 1, 1, 0]))
    torch.testing.assert_close(norm.norm.running_var, 0.1 * x.var(dim=(0, 2, 3), unbiased=True))


def conditional() -> ConditionalBatchNorm2d:
    norm = ConditionalBatchNorm2d(3, 4)
    nn.init.normal_(norm.gain)
    nn.init.normal_(norm.bias)
    return norm


@pytest.mark.parametrize("scale", [2.0, 0.005])
def test_gain_and_bias_are_the_classes_own(scale: float) -> None:
    norm, x, y = conditional(), features(scale), torch.tensor([3, 0, 3, 1])
    plain = BatchNorm2d(3)(x)
    for i, label in enumerate(y):
        expected = plain[i] * norm.gain[label][:, None, None] + norm.bias[label][:, None, None]
        torch.testing.assert_close(norm(x, y)[i], expected)


def test_one_hot_rows_are_labels_and_mixtures_blend_gain_and_bias() -> None:
    norm, x, y = conditional().eval(), features(), torch.tensor([3, 0, 2, 1])
    torch.testing.assert_close(norm(x, F.one_hot(y, 4).float()), norm(x, y))
    row = torch.tensor([0.5, 0.0, 0.2, 0.3]).repeat(4, 1)
    blended = sum(weight * norm(x, torch.full((4,), label)) for label, weight in enumerate(row[0]))
    torch.testing.assert_close(norm(x, row), blended)


def test_which_batch_norm() -> None:
    assert isinstance(batch_norm(3, 0), BatchNorm2d)
    assert isinstance(batch_norm(3, 1), ConditionalBatchNorm2d)
    assert torch.equal(ConditionalBatchNorm2d(3, 2).gain, torch.ones(2, 3))
    assert torch.equal(ConditionalBatchNorm2d(3, 2).bias, torch.zeros(2, 3))


class Shifted(ConditionalBatchNorm2d):
    """A subclass of the kind a user writes: more than the parent's result."""

    def forward(self, x: Tensor, y: Tensor, *, relu: bool = False) -> Tensor:
        return super().forward(x, y, relu=relu) + 1


def generator(side: int) -> Generator:
    """Build a generator whose first blocks are wide enough for the native kernels; at 32 px all of them are."""
    return Generator(GeneratorConfig(resolution=side, num_classes=3, channels={32: 32, 128: 2}[side], latent_dim=4))


def batch_norms(G: Generator) -> dict[str, nn.Module]:
    return {name: m for name, m in G.named_modules() if isinstance(m, ConditionalBatchNorm2d | BatchNorm2d)}


@pytest.fixture(name="fused")
def _fused(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collect the channels of the features that the native kernels normalise."""
    channels: list[int] = []
    kernel = layers.batch_norm_relu

    def spy(x: Tensor, *arguments: object) -> Tensor:
        channels.append(x.shape[1])
        return kernel(x, *arguments)

    monkeypatch.setattr(layers, "batch_norm_relu", spy)
    return channels


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("backend", ["auto", "plain"])
@pytest.mark.parametrize(("side", "norms", "wide"), [(32, 7, 7), (128, 11, 3)])
def test_hooks_of_every_batch_norm_fire_once(
    side: int, norms: int, wide: int, backend: str, training: bool, fused: list[int]
) -> None:
    """Two batch norms per block and a last one, whether a native kernel or PyTorch's own passes run."""
    G = generator(side).train(training)
    set_backend(G, backend)
    fired: list[str] = []
    for name, norm in batch_norms(G).items():
        norm.register_forward_hook(lambda _module, _inputs, _output, name=name: fired.append(name))
    with torch.no_grad():
        G(torch.randn(2, 4), torch.tensor([2, 0]))
    assert len(fired) == norms
    assert sorted(fired) == sorted(batch_norms(G))
    assert len(fused) == (wide if backend == "auto" and native.available() else 0)


@pytest.mark.parametrize("backend", ["auto", "plain"])
@pytest.mark.parametrize("side", [32, 128])
@torch.no_grad()
def test_a_subclass_is_what_runs(side: int, backend: str, fused: list[int]) -> None:
    G = generator(side).train()
    set_backend(G, backend)
    z, y = torch.randn(2, 4), torch.tensor([2, 0])
    expected, blocks = G(z, y), G.network.blocks
    ran = len(fused)
    shifts: list[Tensor] = []
    for block in blocks:
        for norm in (block.norm1, block.norm2):
            norm.register_forward_hook(lambda _module, _inputs, output: shifts.append(output.min()))
            norm.__class__ = Shifted
    shifted = G(z, y)
    assert not torch.allclose(shifted, expected, atol=1e-3)
    assert len(shifts) == 2 * len(blocks)
    assert all(least >= 1 for least in shifts)  # what a ReLU leaves, and one
    assert len(fused) == 2 * ran


@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("side", [(4, 6), (5, 3)])
def test_upsample_conv_is_nearest_neighbour_then_convolution(kernel_size: int, side: tuple[int, int]) -> None:
    layer, x = UpsampleConv2d(3, 5, kernel_size), torch.randn(2, 3, *side)
    nn.init.normal_(layer.bias)
    repeated = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    expected = F.conv2d(repeated, layer.weight, layer.bias, padding=kernel_size // 2)
    # up to the order of summation over 27 products of order 1
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("side", [(4, 6), (8, 2)])
def test_conv_mean_pool_is_convolution_then_mean(kernel_size: int, side: tuple[int, int]) -> None:
    layer, x = ConvMeanPool2d(3, 5, kernel_size), torch.randn(2, 3, *side)
    nn.init.normal_(layer.bias)
    convolved = F.conv2d(x, layer.weight, layer.bias, padding=kernel_size // 2)
    windows = [convolved[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]
    torch.testing.assert_close(layer(x), sum(windows) / 4, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("gain", [1.0, math.sqrt(2)])
@pytest.mark.parametrize(
    ("layer", "fans"),
    [(nn.Conv2d(20, 30, 3), (180, 270)), (nn.Linear(50, 70), (50, 70)), (nn.Embedding(40, 60), (60, 40))],
    ids=["conv", "linear", "embedding"],
)
def test_glorot_uniform(layer: nn.Module, fans: tuple[int, int], gain: float) -> None:
    init_glorot_(layer, gain=gain)
    limit = gain * math.sqrt(6 / sum(fans))
    # 2,400 and more draws from U[-limit, limit]: the largest lies within 1 % of it but for a chance of e^-24
    assert 0.99 * limit <= layer.weight.abs().max() <= limit
    assert layer.weight.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.05)
    if hasattr(layer, "bias"):
        assert not layer.bias.any()


def test_normal_initialisation() -> None:
    layer = nn.ConvTranspose2d(20, 30, 4)
    init_normal_(layer)
    assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)  # 9,600 draws: 5 % is seven deviations
    assert not layer.bias.any()


def test_truncated_normal_initialisation() -> None:
    """TensorFlow's truncated_normal_initializer(stddev=0.02) draws again what is more than two deviations away."""
    layer = nn.Conv2d(20, 30, 4)
    init_normal_(layer, truncated=True)
    density, within = math.exp(-2) / math.sqrt(2 * math.pi), math.erf(math.sqrt(2))
    deviation = 0.02 * math.sqrt(1 - 4 * density / within)  # of what is left, 0.0176
    assert layer.weight.std().item() == pytest.approx(deviation, rel=0.04)  # 9,600 draws: six deviations
    # the largest lies within 1 % of the cut but for a chance of e^-21
    assert 0.99 * 0.04 <= layer.weight.abs().max() <= 0.04
    assert not layer.bias.any()


@pytest.mark.parametrize(("architecture", "side"), [("cnn", 16), ("mnist", 28)])
def test_convolutions_of_a_discriminator_start_as_told(architecture: Literal["cnn", "mnist"], side: int) -> None:
    fields: dict[str, Any] = {"resolution": side, "num_classes": 0, "head": "unconditional", "channels": 8}
    for conv_init in ("normal", "truncated"):
        D = Discriminator(DiscriminatorConfig(architecture=architecture, conv_init=conv_init, **fields))
        beyond = [float(conv.weight.detach().abs().max()) > 0.04 for conv in D.trunk.convs[1:]]
        assert beyond == [conv_init == "normal"] * len(beyond)
        assert float(D.head.linear.weight.detach().abs().max()) > 0.04  # the linear layer's is not cut there


@pytest.mark.parametrize(
    ("architecture", "side", "classes"), [("resnet", 32, 0), ("resnet", 32, 3), ("cnn", 16, 0), ("mnist", 28, 0)]
)
def test_every_batch_norm_adds_the_eps_of_the_configuration(
    architecture: Literal["resnet", "cnn", "mnist"], side: int, classes: int
) -> None:
    fields: dict[str, Any] = {"resolution": side, "num_classes": classes, "channels": 2, "latent_dim": 4}
    for eps in (2e-5, 1e-5):
        G = Generator(GeneratorConfig(architecture=architecture, norm_eps=eps, **fields))
        assert {m.eps for m in G.modules() if isinstance(m, nn.BatchNorm2d)} == {eps}
