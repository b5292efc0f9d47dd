"""The DCGAN networks (Radford et al. 2016): 5x5 strided convolutions, for images whose side is a power of 2."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sngan_cond.config import DiscriminatorConfig, GeneratorConfig
from sngan_cond.networks.layers import batch_norm, feature_map, init_normal_

_FIRST_SIDE = 4
_SLOPE = 0.2


def _widths(channels: int, resolution: int) -> list[int]:
    """Return the widths of D's convolutions, from the image inwards; G has the same, reversed."""
    halvings = (resolution // _FIRST_SIDE).bit_length() - 1
    return [channels * 2**i for i in range(halvings)]


class DcganGenerator(nn.Module):
    """Linear and 5x5 stride-2 transposed convolutions, batch norm and ReLU after all but the last; tanh.

    At 64 px and 128 channels: 1024, 512, 256, 128 and 3 channels, as in Figure 1 there.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        widths = _widths(config.width, config.resolution)[::-1]
        self.linear = nn.Linear(config.latent_dim, widths[0] * _FIRST_SIDE**2)
        self.norms = nn.ModuleList(batch_norm(width, config.num_classes) for width in widths)
        self.deconvs = nn.ModuleList(
            nn.ConvTranspose2d(c_in, c_out, 5, stride=2, padding=2, output_padding=1)
            for c_in, c_out in itertools.pairwise([*widths, 3])
        )
        init_normal_(self.linear)
        for deconv in self.deconvs:
            assert isinstance(deconv, nn.ConvTranspose2d)
            init_normal_(deconv)

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Map latents (N, latent_dim) and labels or class weights to images (N, 3, R, R) in [-1, 1]."""
        h = feature_map(self.linear(z), _FIRST_SIDE, self.deconvs)  # (N, C_0, 4, 4)
        for norm, deconv in zip(self.norms, self.deconvs, strict=True):
            h = deconv(F.relu(norm(h, y)))  # twice the side
        return torch.tanh(h)  # (N, 3, R, R)


class DcganTrunk(nn.Module):
    """5x5 stride-2 convolutions with leaky ReLU of slope 0.2 down to 4x4; the feature map is flattened.

    The batch norm that the paper has after all but the first convolution is `features: batch` of a `ConstraintConfig`.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        widths = [3, *_widths(config.width, config.resolution)]
        self.convs = nn.ModuleList()
        for c_in, c_out in itertools.pairwise(widths):
            conv = nn.Conv2d(c_in, c_out, 5, stride=2, padding=2)
            init_normal_(conv)
            self.convs.append(conv)
        self.features = widths[-1] * _FIRST_SIDE**2
        self.score_bias = True

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Map images (N, 3, R, R) to features (N, 16 C); labels are ignored."""
        for conv in self.convs:
            x = F.leaky_relu(conv(x), _SLOPE)  # half the side
        return x.flatten(1)
