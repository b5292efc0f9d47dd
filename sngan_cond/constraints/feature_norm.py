"""Batch and layer normalisation of the discriminator's features, without multiplier."""

import torch
from torch import Tensor, nn

from sngan_cond.config import BATCH_NORM_EPS, BATCH_NORM_MOMENTUM
from sngan_cond.constraints.config import ConstraintConfig

IMAGE_CHANNELS = 3
LAYER_NORM_EPS = 1e-5
_CHILD = "feature_norm"


class _LayerNorm(nn.Module):
    """Layer normalisation of each image's whole feature map, over (C, H, W).

    Source: Ba et al. 2016; as in tflib/ops/layernorm.py of igul222/improved_wgan_training.
    """

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.layer_norm(x, x.shape[1:], eps=LAYER_NORM_EPS)


class _FeatureNorm(nn.Module):
    """Normalisation of (N, C, H, W) with a bias per channel and no multiplier."""

    def __init__(self, kind: str, channels: int) -> None:
        super().__init__()
        self.norm = (
            nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM, affine=False)
            if kind == "batch"
            else _LayerNorm()
        )
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.norm(x)
        return h + self.bias[:, None, None]


def normalise_features(D: nn.Module, config: ConstraintConfig) -> None:
    """Add the normalisations to the discriminator's convolutions, as their children, and the hooks that apply them.

    As in `DCGANDiscriminator` in common/net.py of pfnet-research/chainer-gan-lib, every convolution but the first is
    normalised, and the score layer is not. There too the convolution keeps its bias, and beta stays where gamma is left
    out (Miyato et al. 2018, section 4.1). The learned skips of residual blocks and a layer that makes an image (an
    autoencoder's last one) are not normalised; a layer that pools is normalised after its pooling.
    """
    convolutions = [(name, layer) for name, layer in D.named_modules() if isinstance(layer, nn.Conv2d)]
    for name, layer in convolutions[1:]:
        if layer.out_channels != IMAGE_CHANNELS and name.rpartition(".")[2] != "skip":
            # A child and a hook, not a wrapper: the convolution keeps its name in the state dict.
            layer.add_module(_CHILD, _FeatureNorm(config.features, layer.out_channels))
            layer.register_forward_hook(_normalise_output)


def _normalise_output(layer: nn.Module, _args: tuple[Tensor, ...], output: Tensor) -> Tensor:
    normalised: Tensor = layer.get_submodule(_CHILD)(output)
    return normalised


def normalises_images_alone(config: ConstraintConfig) -> bool:
    """Return whether an image's features are normalised without a look at the other images."""
    return config.features != "batch"
