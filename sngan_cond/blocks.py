"""The residual blocks of the paper's Figure 8: one that doubles the side, one that may halve it."""

import math
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from sngan_cond.layers import ConvMeanPool2d, SameConv2d, UpsampleConv2d, batch_norm, init_glorot_, norm_relu


class UpBlock(nn.Module):
    """Residual block of the generator; doubles the side.

    Source: 000 Figure 8; gen_models/resblocks.py of pfnet-research/sngan_projection.

    Args:
        in_channels: channels in.
        out_channels: channels out, and between the two convolutions.
        num_classes: number of classes of the batch normalisations; 0 for the plain form.
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
        """Map (N, C_in, H, W) features and their labels (or rows of class weights) to (N, C_out, 2H, 2W)."""
        h: Tensor = norm_relu(self.norm1, x, y)
        h = self.conv1(h)  # (N, C_out, 2H, 2W)
        h = norm_relu(self.norm2, h, y)
        h = self.conv2(h)
        skipped: Tensor = self.skip(x)  # (N, C_out, 2H, 2W)
        return h + skipped


class DownBlock(nn.Module):
    """Residual block of the discriminator; halves the side where told to.

    The first block of the trunk has no ReLU before its first convolution, sees raw pixels on the skip, and averages
    the skip before its 1x1 convolution.
    Source: 000 Figure 8; dis_models/resblocks.py of pfnet-research/sngan_projection.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        halves: whether the side is halved.
        is_first: whether this block sees the image.
        hidden: width between the convolutions, that of the "input" (official code) or of the "output".
        skip: "auto" learns a skip where shapes ask for one, "always" in every block.
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
        h: Tensor = x if self.is_first else F.relu(x)
        h = self.conv1(h)  # (N, C_hidden, H, W)
        h = self.conv2(F.relu(h))
        skipped: Tensor = x if self.skip is None else self.skip(x)
        return h + skipped
