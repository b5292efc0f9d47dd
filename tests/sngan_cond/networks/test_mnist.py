"""The MNIST pair, layer by layer from Tables 4 and 5 of Lin et al. 2021."""

import torch
import torch.nn.functional as F

from sngan_cond import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig

FIELDS = {"resolution": 28, "num_classes": 0, "architecture": "mnist", "channels": 3}


@torch.no_grad()
def test_generator_is_grey_in_three_equal_channels() -> None:
    """In training mode, where the first batch norm shows what it takes its moments of."""
    G = Generator(GeneratorConfig(**FIELDS, latent_dim=9, latent="uniform", norm_eps=0.3))
    net, z = G.network, torch.rand(5, 9) * 2 - 1
    torch.nn.init.normal_(net.norm1.weight)
    torch.nn.init.normal_(net.norm1.bias)
    h = F.leaky_relu(net.linear(z), 0.2).reshape(5, 6, 7, 7)
    var, mean = torch.var_mean(h, dim=(0, 2, 3), keepdim=True, correction=0)
    h = (h - mean) / (var + 0.3).sqrt() * net.norm1.weight[:, None, None] + net.norm1.bias[:, None, None]
    h = net.norm2(F.leaky_relu(net.deconv1(h), 0.2))
    assert h.shape == (5, 3, 14, 14)
    grey = torch.sigmoid(net.deconv2(h))
    assert grey.shape == (5, 1, 28, 28)
    images = G(z)
    assert images.shape == (5, 3, 28, 28)
    for channel in range(3):
        torch.testing.assert_close((images[:, channel : channel + 1] + 1) / 2, grey)


@torch.no_grad()
def test_discriminator() -> None:
    D = Discriminator(DiscriminatorConfig(**FIELDS, head="unconditional"))
    x = torch.randn(2, 1, 28, 28)
    h, sides = (x + 1) / 2, []
    for conv in D.trunk.convs:
        assert conv.bias is None
        h = F.leaky_relu(F.conv2d(h, conv.weight, stride=2, padding=2), 0.2)
        sides.append(h.shape[-1])
    assert sides == [14, 7, 4]
    assert D.head.linear.bias is None
    expected = (h.flatten(1) @ D.head.linear.weight.T).squeeze(1)
    torch.testing.assert_close(D(x.expand(-1, 3, -1, -1)).score, expected)
