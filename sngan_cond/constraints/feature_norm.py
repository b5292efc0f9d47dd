"""Batch and layer normalisation of the discriminator's features, without multiplier."""

from typing import Literal

import torch
from torch import Tensor, nn

from sngan_cond.constraints.base import Constraint
from sngan_cond.networks.layers import BATCH_NORM_EPS, BATCH_NORM_MOMENTUM

IMAGE_CHANNELS = 3
LAYER_NORM_EPS = 1e-5


class FeatureBatchNorm(nn.Module):
    """Batch normalisation with a bias per channel and no multiplier."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM, affine=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, H, W) over batch and space, and shift."""
        h: Tensor = self.norm(x)
        return h + self.bias[:, None, None]


class FeatureLayerNorm(nn.Module):
    """Layer normalisation of each image's whole feature map, with a bias per channel and no multiplier.

    Source: Ba et al. 2016; over (C, H, W) as in tflib/ops/layernorm.py of igul222/improved_wgan_training.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each image of (N, C, H, W) over channels and space, and shift."""
        h = nn.functional.layer_norm(x, x.shape[1:], eps=LAYER_NORM_EPS)
        return h + self.bias[:, None, None]


def _normalise_output(layer: nn.Module, _args: tuple[Tensor, ...], output: Tensor) -> Tensor:
    normalised: Tensor = layer.get_submodule(FeatureNorm.NAME)(output)
    return normalised


class FeatureNorm(Constraint):
    """Normalises the output of the discriminator's convolutions.

    As in `DCGANDiscriminator` in common/net.py of pfnet-research/chainer-gan-lib, every convolution but the first is
    normalised, and the score layer is not. There too the convolution keeps its bias, and beta stays where gamma is left
    out (Miyato et al. 2018, section 4.1). The learned skips of residual blocks and a layer that makes an image (an
    autoencoder's last one) are not normalised; a layer that pools is normalised after its pooling.

    Args:
        kind: "batch" or "layer".
        exclude: names of further layers left alone.
    """

    NAME = "feature_norm"

    def __init__(self, kind: Literal["batch", "layer"], *, exclude: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self.exclude = exclude

    def attach(self, D: nn.Module) -> None:
        """Add the normalisations, as children of their convolutions, and the hooks that apply them.

        Raises:
            ValueError: if a name to exclude does not exist.
        """
        convolutions = {name: layer for name, layer in D.named_modules() if isinstance(layer, nn.Conv2d)}
        for name in self.exclude:
            if name not in convolutions:
                raise ValueError(f"exclude={name!r}: no such convolution; they are {', '.join(convolutions)}")
        first = next(iter(convolutions))
        for name, layer in convolutions.items():
            makes_image = layer.out_channels == IMAGE_CHANNELS
            if name == first or makes_image or name in self.exclude or name.rpartition(".")[2] == "skip":
                continue
            make = FeatureBatchNorm if self.kind == "batch" else FeatureLayerNorm
            # A child and a hook, not a wrapper: the convolution keeps its name in the state dict.
            layer.add_module(self.NAME, make(layer.out_channels))
            layer.register_forward_hook(_normalise_output)
