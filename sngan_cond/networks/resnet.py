"""The ResNets of Miyato et al. 2018 (Tables 4-6), built from the stage plan of their resolution."""

import itertools
import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sngan_cond.config import DiscriminatorConfig, GeneratorConfig, plan_for
from sngan_cond.networks.heads import LabelPlanes
from sngan_cond.networks.layers import (
    BatchNorm2d,
    ConvMeanPool2d,
    SameConv2d,
    UpsampleConv2d,
    batch_norm,
    feature_map,
    init_glorot_,
)


class UpBlock(nn.Module):
    """Residual block of the generator; doubles the side.

    Source: Miyato et al. 2018, Figure 8; gen_models/resblocks.py of pfnet-research/sngan_projection.

    Args:
        in_channels: C_in.
        out_channels: C_out, also the width between the two convolutions.
        num_classes: of the batch normalisations; 0 for unconditional ones.
    """

    def __init__(self, in_channels: int, out_channels: int, num_classes: int) -> None:
        super().__init__()
        self.norm1 = batch_norm(in_channels, num_classes)
        self.conv1 = UpsampleConv2d(in_channels, out_channels, 3)
        self.norm2 = batch_norm(out_channels, num_classes)
        self.conv2 = SameConv2d(out_channels, out_channels, 3)
        self.skip = UpsampleConv2d(in_channels, out_channels, 1)
        init_glorot_(self.conv1, gain=math.sqrt(2))
        init_glorot_(self.conv2, gain=math.sqrt(2))
        init_glorot_(self.skip)

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Map (N, C_in, H, W) features and their labels or class weights to (N, C_out, 2H, 2W)."""
        h: Tensor = self.norm1(x, y, relu=True)
        h = self.conv1(h)  # (N, C_out, 2H, 2W)
        h = self.norm2(h, y, relu=True)
        h = self.conv2(h)
        skipped: Tensor = self.skip(x)  # (N, C_out, 2H, 2W)
        return h + skipped


class ResNetGenerator(nn.Module):
    """Linear, up blocks, batch norm, ReLU, 3x3 convolution, tanh.

    The last batch normalisation is unconditional even where there are classes, as in the official code.
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
        self.conv = SameConv2d(widths[-1], 3, 3)
        init_glorot_(self.linear)
        init_glorot_(self.conv)

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Map latents (N, latent_dim) and labels or class weights to images (N, 3, R, R) in [-1, 1]."""
        h = feature_map(self.linear(z), self.first_side, self.blocks)  # (N, C_0, s, s)
        for block in self.blocks:
            h = block(h, y)  # (N, C_i, 2^i s, 2^i s)
        h = self.norm(h, relu=True)
        return torch.tanh(self.conv(h))  # (N, 3, R, R)


class DownBlock(nn.Module):
    """Residual block of the discriminator; halves the side if told to.

    Source: Miyato et al. 2018, Figure 8; dis_models/resblocks.py of pfnet-research/sngan_projection.

    Args:
        in_channels: C_in.
        out_channels: C_out.
        halves: whether the side is halved, by mean pooling.
        is_first: whether the block's input is the image; there is no ReLU before the first convolution then.
        hidden: width between the convolutions, that of the "input" (official code) or of the "output".
        skip: "auto" learns a skip where shapes require it, "always" in every block.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        halves: bool,
        is_first: bool = False,
        hidden: Literal["input", "output"] = "input",
        skip: Literal["auto", "always"] = "auto",
    ) -> None:
        super().__init__()
        self.is_first = is_first
        hidden_channels = out_channels if is_first or hidden == "output" else in_channels
        # The official first block pools its skip before the 1x1 convolution, the others after it. Pooling and a 1x1
        # convolution commute, so one layer serves both.
        conv = ConvMeanPool2d if halves else SameConv2d
        self.conv1 = SameConv2d(in_channels, hidden_channels, 3)
        self.conv2 = conv(hidden_channels, out_channels, 3)
        learns_skip = halves or in_channels != out_channels or skip == "always"
        self.skip = conv(in_channels, out_channels, 1) if learns_skip else None
        init_glorot_(self.conv1, gain=math.sqrt(2))
        init_glorot_(self.conv2, gain=math.sqrt(2))
        if self.skip is not None:
            init_glorot_(self.skip)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H, W), or to (N, C_out, H/2, W/2) where the block halves."""
        h: Tensor = x if self.is_first else F.relu(x)  # not in place: the skip needs x itself
        h = self.conv1(h)  # (N, C_hidden, H, W)
        h = self.conv2(F.relu(h))
        skipped: Tensor = x if self.skip is None else self.skip(x)
        return h + skipped


class ResNetTrunk(nn.Module):
    """Down blocks, ReLU, sum or mean over space; label planes join between two blocks for the concat head."""

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
