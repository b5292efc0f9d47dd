"""The ResNets as wholes: initialisation, shapes and the order of what the blocks are put together from."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sngan_cond import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from sngan_cond.networks.layers import BatchNorm2d, ConditionalBatchNorm2d


def limit(layer: nn.Module) -> float:
    """Bound of the Glorot uniform distribution of gain 1."""
    fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(layer.weight)
    return math.sqrt(6 / (fan_in + fan_out))


def gain(layer: nn.Module) -> float:
    """Gain that a fresh layer was drawn with, from its standard deviation."""
    return float(layer.weight.detach().std()) * math.sqrt(3) / limit(layer)


@pytest.fixture
def pair() -> tuple[Generator, Discriminator]:
    G = Generator(GeneratorConfig(resolution=64, num_classes=40, channels=4))
    D = Discriminator(DiscriminatorConfig(resolution=64, num_classes=40, channels=4))
    return G, D


def test_initialisation(pair: tuple[Generator, Discriminator]) -> None:
    """Gain sqrt(2) on the two 3x3 convolutions of a block, 1 elsewhere; no bias."""
    for network in pair:
        for name, layer in network.named_modules():
            if not isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
                continue
            expected = math.sqrt(2) if ".conv1" in name or ".conv2" in name else 1.0
            # n draws give a standard deviation to within 0.45 / sqrt(n) of itself; five of these
            tolerance = 5 * 0.45 / math.sqrt(layer.weight.numel())
            assert gain(layer) == pytest.approx(expected, rel=tolerance), name
            assert layer.weight.abs().max() <= expected * limit(layer), name
            assert getattr(layer, "bias", None) is None or not layer.bias.any(), name


def test_the_last_batch_norm_is_unconditional(pair: tuple[Generator, Discriminator]) -> None:
    resnet = pair[0].network
    assert isinstance(resnet.norm, BatchNorm2d)
    assert all(isinstance(block.norm1, ConditionalBatchNorm2d) for block in resnet.blocks)
    norms = [layer for layer in resnet.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) == 2 * 4 + 1
    assert {(layer.eps, layer.momentum) for layer in norms} == {(2e-5, 0.1)}  # Chainer's


@pytest.mark.parametrize("side", [32, 48, 64, 128, 256])
@torch.no_grad()
def test_shapes(side: int) -> None:
    G = Generator(GeneratorConfig(resolution=side, num_classes=3, channels=2, latent_dim=5))
    images = G(torch.randn(2, 5), torch.tensor([2, 0]))
    assert images.shape == (2, 3, side, side)
    assert images.abs().max() <= 1
    for head in ("unconditional", "projection", "concat", "auxiliary_classifier"):
        classes = 0 if head == "unconditional" else 3
        D = Discriminator(DiscriminatorConfig(resolution=side, num_classes=classes, channels=2, head=head, embed_dim=4))
        output = D(images, torch.tensor([2, 0]) if classes else None)
        assert output.score.shape == (2,)
        assert (output.class_logits is None) == (head != "auxiliary_classifier")


@torch.no_grad()
def test_the_latent_fills_channels_before_rows(pair: tuple[Generator, Discriminator]) -> None:
    resnet = pair[0].network
    h: list[torch.Tensor] = []
    resnet.blocks[0].register_forward_pre_hook(lambda _module, args: h.append(args[0]))
    z = torch.randn(2, 128)
    pair[0](z, torch.tensor([0, 1]))
    assert torch.equal(h[0], resnet.linear(z).reshape(2, 64, 4, 4))


@pytest.mark.parametrize("pool", ["sum", "mean"])
@torch.no_grad()
def test_features_are_pooled_after_a_relu(pool: str) -> None:
    config = DiscriminatorConfig(resolution=48, num_classes=0, head="unconditional", channels=2, pool=pool)
    D, x = Discriminator(config), torch.randn(2, 3, 48, 48)
    h = x
    for block in D.trunk.blocks:
        h = block(h)
    assert h.shape == (2, 32, 3, 3)
    expected = F.relu(h).sum(dim=(2, 3)) / (1 if pool == "sum" else 9)
    torch.testing.assert_close(D.trunk(x, None), expected)


@pytest.mark.parametrize("side", [32, 64])
def test_score_bias(side: int) -> None:
    fields = {"resolution": side, "num_classes": 0, "head": "unconditional", "channels": 2}
    published = Discriminator(DiscriminatorConfig(**fields)).head.linear.bias
    assert (published is None) == (side == 32)
    assert Discriminator(DiscriminatorConfig(**fields, score_bias=True)).head.linear.bias is not None
    assert Discriminator(DiscriminatorConfig(**fields, score_bias=False)).head.linear.bias is None


def test_label_planes_join_after_the_third_block() -> None:
    D = Discriminator(DiscriminatorConfig(resolution=128, num_classes=3, channels=2, head="concat", embed_dim=7))
    assert [block.conv1.in_channels for block in D.trunk.blocks] == [3, 2, 4, 8 + 7, 16, 32]
    assert D.head.embed is None
