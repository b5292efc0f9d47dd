"""The standard CNN pair, layer by layer from Table 3 of Miyato et al. 2018."""

import pytest
import torch
import torch.nn.functional as F

from sngan_cond import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig


@pytest.mark.parametrize(("side", "first_norm"), [(32, "unit"), (48, "channel"), (64, "unit")])
@torch.no_grad()
def test_generator(side: int, first_norm: str) -> None:
    """In training mode, where the first batch norm shows what it takes its moments of."""
    config = GeneratorConfig(
        resolution=side, num_classes=0, architecture="cnn", channels=3, latent_dim=7, first_norm=first_norm
    )
    G, z = Generator(config), torch.randn(5, 7)
    cnn, first = G.network, G.network.norms[0]
    h = cnn.linear(z).reshape(5, 24, side // 8, side // 8)
    torch.nn.init.normal_(first.weight)
    torch.nn.init.normal_(first.bias)
    over, per = ((0,), (24, side // 8, side // 8)) if first_norm == "unit" else ((0, 2, 3), (24, 1, 1))
    var, mean = torch.var_mean(h, dim=over, keepdim=True, correction=0)
    h = F.relu((h - mean) / (var + first.eps).sqrt() * first.weight.reshape(per) + first.bias.reshape(per))
    for deconv, norm in zip(cnn.deconvs, cnn.norms[1:], strict=True):
        assert deconv.weight.shape[2:] == (4, 4)
        h = F.relu(norm(F.conv_transpose2d(h, deconv.weight, deconv.bias, stride=2, padding=1)))
    expected = torch.tanh(F.conv2d(h, cnn.conv.weight, cnn.conv.bias, padding=1))
    assert expected.shape == (5, 3, side, side)
    torch.testing.assert_close(G(z), expected)


@torch.no_grad()
def test_generator_with_classes_looks_at_them() -> None:
    config = GeneratorConfig(
        resolution=16, num_classes=2, architecture="cnn", channels=2, latent_dim=4, first_norm="unit"
    )
    G = Generator(config)
    for norm in G.network.norms:
        norm.gain[1] = 2.0
    z = torch.randn(1, 4).repeat(2, 1)
    assert not torch.equal(*G.eval()(z, torch.tensor([0, 1])))


@pytest.mark.parametrize("slope", [0.0, 0.1])
@torch.no_grad()
def test_discriminator(slope: float) -> None:
    config = DiscriminatorConfig(
        resolution=32, num_classes=0, head="unconditional", architecture="cnn", channels=3, slope=slope
    )
    D, x = Discriminator(config), torch.randn(2, 3, 32, 32) * 20
    h, shapes = x, []
    for i, conv in enumerate(D.trunk.convs):
        shapes.append(tuple(conv.weight.shape))
        h = F.leaky_relu(F.conv2d(h, conv.weight, conv.bias, stride=1 + i % 2, padding=1), slope)
    widths = [3, 3, 3, 6, 6, 12, 12, 24]
    assert shapes == [(widths[i + 1], widths[i], 3 + i % 2, 3 + i % 2) for i in range(7)]
    assert h.shape == (2, 24, 4, 4)
    expected = (h.flatten(1) @ D.head.linear.weight.T + D.head.linear.bias).squeeze(1)
    torch.testing.assert_close(D(x).score, expected)


@pytest.mark.parametrize("head", ["projection", "concat", "auxiliary_classifier"])
@torch.no_grad()
def test_conditional_heads(head: str) -> None:
    config = DiscriminatorConfig(resolution=16, num_classes=3, head=head, architecture="cnn", channels=2, embed_dim=5)
    D, x = Discriminator(config), torch.randn(2, 3, 16, 16) * 20
    output = D(x, torch.tensor([0, 2]))
    assert output.score.shape == (2,)
    if head == "auxiliary_classifier":
        assert output.class_logits.shape == (2, 3)
    else:
        assert not torch.allclose(output.score, D(x, torch.tensor([1, 1])).score, rtol=1e-7, atol=0)
