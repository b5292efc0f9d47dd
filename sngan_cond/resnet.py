"""The paper's ResNets, read off the stage plan of their resolution (000 Tables 4 to 6)."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sngan_cond.blocks import DownBlock, UpBlock
from sngan_cond.config import DiscriminatorConfig, GeneratorConfig
from sngan_cond.heads import LabelPlanes
from sngan_cond.layers import BatchNorm2d, init_glorot_, norm_relu
from sngan_cond.plans import plan_for


class ResNetGenerator(nn.Module):
    """Latent and label to image: linear, up blocks, batch norm, ReLU, 3x3 convolution, tanh.

    The last batch normalisation is unconditional even where there are classes, as in the official code.

    Args:
        config: description with architecture "resnet".
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        plan = plan_for(config.resolution)
        widths = [config.width * width for width in plan.g_widths]
        self.first_side = plan.first_side
        self.linear = nn.Linear(config.latent_dim, widths[0] * plan.first_side**2)
        self.blocks = nn.ModuleList(
            UpBlock(c_in, c_out, config.num_classes) for c_in, c_out in itertools.pairwise(widths)
        )
        self.norm = BatchNorm2d(widths[-1])
        self.conv = nn.Conv2d(widths[-1], 3, 3, padding=1)
        init_glorot_(self.linear)
        init_glorot_(self.conv)

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Map latents (N, latent_dim) and labels or class weights to images (N, 3, R, R) in [-1, 1]."""
        h = self.linear(z).unflatten(1, (-1, self.first_side, self.first_side))  # (N, C_0, s, s)
        for block in self.blocks:
            h = block(h, y)  # (N, C_i, 2^i s, 2^i s)
        h = norm_relu(self.norm, h, y)
        return torch.tanh(self.conv(h))  # (N, 3, R, R)


class ResNetTrunk(nn.Module):
    """Image to features: down blocks, ReLU, sum (or mean) over space; label planes join on the way for the concat head.

    Args:
        config: description with architecture "resnet".
    """

    features: int
    score_bias: bool

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        plan = plan_for(config.resolution)
        widths = [3, *(config.width * width for width in plan.d_widths)]
        self.concat_after = plan.concat_after
        self.labels = LabelPlanes(config) if config.head == "concat" else None
        self.blocks = nn.ModuleList()
        for i, (c_in, c_out) in enumerate(itertools.pairwise(widths)):
            joined = config.embed_dim if config.head == "concat" and i == plan.concat_after else 0
            self.blocks.append(
                DownBlock(
                    c_in + joined,
                    c_out,
                    halves=i < plan.d_halves,
                    is_first=i == 0,
                    hidden=config.hidden,
                    skip=config.skip,
                )
            )
        self.features = widths[-1]
        self.score_bias = plan.score_bias
        self.averages = config.pool == "mean"

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Map images (N, 3, R, R) to features (N, C)."""
        for i, block in enumerate(self.blocks):
            if self.labels is not None and i == self.concat_after:
                x = self.labels(x, y)  # (N, C_i + embed_dim, ...)
            x = block(x)
        x = F.relu(x)
        return x.mean(dim=(2, 3)) if self.averages else x.sum(dim=(2, 3))
