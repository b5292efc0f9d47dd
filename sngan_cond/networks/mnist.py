"""The MNIST networks (Lin et al. 2021, Tables 4 and 5), 28 px, whose grey images have three equal channels here."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sngan_cond.config import DiscriminatorConfig, GeneratorConfig
from sngan_cond.networks.layers import batch_norm, feature_map, init_normal_

_SLOPE = 0.2
_FIRST_SIDE = 7


class MnistGenerator(nn.Module):
    """Linear and two 5x5 stride-2 transposed convolutions; leaky ReLU before each batch norm; sigmoid.

    The sigmoid's (0, 1) is stretched to (-1, 1) and repeated to three channels, like all images here. Whether the first
    batch norm takes moments of channels, as here, or of units, as in the same authors' CNN, Table 4 leaves open.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        wide, narrow = 2 * config.width, config.width
        self.linear = nn.Linear(config.latent_dim, wide * _FIRST_SIDE**2)
        self.norm1 = batch_norm(wide, config.num_classes)
        self.deconv1 = nn.ConvTranspose2d(wide, narrow, 5, stride=2, padding=2, output_padding=1)
        self.norm2 = batch_norm(narrow, config.num_classes)
        self.deconv2 = nn.ConvTranspose2d(narrow, 1, 5, stride=2, padding=2, output_padding=1)
        for layer in (self.linear, self.deconv1, self.deconv2):
            init_normal_(layer)

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Map latents (N, latent_dim) and labels or class weights to images (N, 3, 28, 28) in [-1, 1]."""
        h = feature_map(self.linear(z), _FIRST_SIDE, self.deconv1)  # (N, 2 ch, 7, 7)
        h = self.norm1(F.leaky_relu(h, _SLOPE), y)
        h = self.norm2(F.leaky_relu(self.deconv1(h), _SLOPE), y)  # (N, ch, 14, 14)
        grey = 2 * torch.sigmoid(self.deconv2(h)) - 1  # (N, 1, 28, 28)
        return grey.expand(-1, 3, -1, -1)


class MnistTrunk(nn.Module):
    """Three 5x5 stride-2 convolutions without bias, leaky ReLU; the feature map is flattened."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        widths = [1, *(config.width * width for width in (1, 2, 4))]
        self.convs = nn.ModuleList()
        for c_in, c_out in itertools.pairwise(widths):
            conv = nn.Conv2d(c_in, c_out, 5, stride=2, padding=2, bias=False)
            init_normal_(conv, truncated=config.conv_init == "truncated")
            self.convs.append(conv)
        self.features = widths[-1] * 4 * 4
        self.score_bias = False

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Map images (N, 3, 28, 28) to features (N, 16 C); labels are ignored."""
        x = (x.mean(dim=1, keepdim=True) + 1) / 2  # (N, 1, 28, 28) in [0, 1], the range in the paper
        for conv in self.convs:
            x = F.leaky_relu(conv(x), _SLOPE)  # 28 -> 14 -> 7 -> 4
        return x.flatten(1)
