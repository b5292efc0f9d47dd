"""The autoencoding discriminator of BEGAN and EBGAN, with the widths of the standard CNN."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sngan_cond.config import DiscriminatorConfig
from sngan_cond.networks.layers import feature_map, init_normal_

CODE_DIM = 128
_SLOPE = 0.2


class Autoencoder(nn.Module):
    """A 3x3 and three 4x4 stride-2 convolutions, a code of 128 numbers, and the same layers mirrored; tanh.

    Source: began/net.py of pfnet-research/chainer-gan-lib.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        widths = [config.width * width for width in (1, 2, 4, 8)]
        self.is_squared = config.error == "l2"
        self.top_side = config.resolution // 8
        top = widths[-1] * self.top_side**2
        self.conv = nn.Conv2d(3, widths[0], 3, padding=1)
        self.convs = nn.ModuleList(
            nn.Conv2d(c_in, c_out, 4, stride=2, padding=1) for c_in, c_out in itertools.pairwise(widths)
        )
        self.encode = nn.Linear(top, CODE_DIM)
        self.decode = nn.Linear(CODE_DIM, top)
        self.deconvs = nn.ModuleList(
            nn.ConvTranspose2d(c_in, c_out, 4, stride=2, padding=1) for c_in, c_out in itertools.pairwise(widths[::-1])
        )
        self.last = nn.Conv2d(widths[0], 3, 3, padding=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                init_normal_(layer)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct images (N, 3, R, R)."""
        for conv in (self.conv, *self.convs):
            x = F.leaky_relu(conv(x), _SLOPE)  # after the last, (N, 8 ch, R/8, R/8)
        code = F.leaky_relu(self.encode(x.flatten(1)), _SLOPE)  # (N, 128)
        h = feature_map(F.leaky_relu(self.decode(code), _SLOPE), self.top_side, self.deconvs)
        for deconv in self.deconvs:
            h = F.leaky_relu(deconv(h), _SLOPE)  # after the last, (N, ch, R, R)
        return torch.tanh(self.last(h))

    def error(self, x: Tensor) -> Tensor:
        """Return each image's reconstruction error (N,), a mean over its values."""
        difference: Tensor = self(x) - x
        values = difference.square() if self.is_squared else difference.abs()
        return values.mean(dim=(1, 2, 3))
