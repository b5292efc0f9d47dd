"""The standard CNNs (Miyato et al. 2018, Table 3; Lin et al. 2021, Tables 2 and 3), at multiples of 8 px."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sngan_cond.config import DiscriminatorConfig, GeneratorConfig
from sngan_cond.networks.heads import LabelPlanes
from sngan_cond.networks.layers import NoNorm, SameConv2d, batch_norm, feature_map, init_normal_


class CnnGenerator(nn.Module):
    """Linear, three 4x4 stride-2 transposed convolutions, 3x3 convolution, tanh.

    Batch normalisation and ReLU follow the linear layer, as in Table 2 of Lin et al. and in the authors'
    chainer-gan-lib; Table 3 of Miyato et al. does not list them. Both authors' codes normalise its outputs one by one,
    before they are seen as features.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        widths = [config.width * width for width in (8, 4, 2, 1)]
        self.first_side = config.resolution // 8
        self.linear = nn.Linear(config.latent_dim, widths[0] * self.first_side**2)
        self.normalises_units = config.first_norm == "unit"
        normalised = [self.linear.out_features if self.normalises_units else widths[0], *widths[1:]]
        self.norms = nn.ModuleList(
            NoNorm() if config.norm == "none" else batch_norm(width, config.num_classes) for width in normalised
        )
        self.deconvs = nn.ModuleList(
            nn.ConvTranspose2d(c_in, c_out, 4, stride=2, padding=1) for c_in, c_out in itertools.pairwise(widths)
        )
        self.conv = SameConv2d(widths[-1], 3, 3)
        init_normal_(self.linear)
        init_normal_(self.conv)
        for deconv in self.deconvs:
            assert isinstance(deconv, nn.ConvTranspose2d)
            init_normal_(deconv)

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Map latents (N, latent_dim) and labels or class weights to images (N, 3, R, R) in [-1, 1]."""
        first, *norms = self.norms
        units = self.linear(z)  # (N, 8 ch R/8 R/8)
        if self.normalises_units:
            units = first(units[:, :, None, None], y).flatten(1)
        h = feature_map(units, self.first_side, self.deconvs)  # (N, 8 ch, R/8, R/8)
        h = F.relu(h if self.normalises_units else first(h, y))
        for deconv, norm in zip(self.deconvs, norms, strict=True):
            h = F.relu(norm(deconv(h), y))  # twice the side, half the width
        return torch.tanh(self.conv(h))  # (N, 3, R, R)


class CnnTrunk(nn.Module):
    """Seven convolutions with leaky ReLU, alternating 3x3 stride 1 and 4x4 stride 2; the feature map is flattened.

    Label planes join after the second halving for the concat head.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.slope = config.slope
        # The "relative size" of Miyato et al. 2018, Figure 4, widens both sides of the last convolution (footnote 6).
        before_top, top = (max(1, round(width * config.width * config.top_size)) for width in (4, 8))
        widths = [3, *(config.width * width for width in (1, 1, 2, 2, 4)), before_top, top]
        self.labels = LabelPlanes(config) if config.head == "concat" else None
        self.convs = nn.ModuleList()
        for i, (c_in, c_out) in enumerate(itertools.pairwise(widths)):
            joined = config.embed_dim if config.head == "concat" and i == 4 else 0
            stride = 1 + i % 2  # 3x3 stride 1 and 4x4 stride 2 in turn, both with a padding of 1
            conv = nn.Conv2d(c_in + joined, c_out, 2 + stride, stride=stride, padding=1)
            init_normal_(conv, truncated=config.conv_init == "truncated")
            self.convs.append(conv)
        self.features = top * (config.resolution // 8) ** 2
        self.score_bias = True

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Map images (N, 3, R, R) to features (N, C R/8 R/8)."""
        for i, conv in enumerate(self.convs):
            if self.labels is not None and i == 4:
                x = self.labels(x, y)
            x = F.leaky_relu(conv(x), self.slope)
        return x.flatten(1)
