"""The generator: from latents and labels to images."""

import torch
from torch import Tensor, nn

from sngan_cond.classes import Classes
from sngan_cond.config import GeneratorConfig
from sngan_cond.hub.pretrained import PretrainedMixin
from sngan_cond.networks.cnn import CnnGenerator
from sngan_cond.networks.dcgan import DcganGenerator
from sngan_cond.networks.mnist import MnistGenerator
from sngan_cond.networks.resnet import ResNetGenerator

_NETWORKS = {"resnet": ResNetGenerator, "cnn": CnnGenerator, "dcgan": DcganGenerator, "mnist": MnistGenerator}


class Generator(nn.Module, PretrainedMixin):
    """Makes images from latents and, where it has classes, labels or class weights."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.network = _NETWORKS[config.architecture](config)

    @property
    def classes(self) -> Classes:
        """The classes, which can be searched; none for a generator without classes."""
        return Classes(self.config)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Generate images.

        Args:
            z: (N, latent_dim) latents.
            y: (N,) int64 labels, (N, num_classes) float class weights, or None without classes.
        Returns:
            (N, 3, R, R) images in [-1, 1].
        Raises:
            ValueError: if the shape of `z` or `y` does not fit, or labels are missing or unexpected.
        """
        self._check(z, y)
        images: Tensor = self.network(z, y)
        return images

    def _check(self, z: Tensor, y: Tensor | None) -> None:
        dim, classes = self.config.latent_dim, self.config.num_classes
        if z.ndim != 2 or z.shape[1] != dim:
            raise ValueError(f"z of shape {tuple(z.shape)}: (N, {dim}) is allowed")
        if not classes:
            if y is not None:
                raise ValueError("y is given: a generator without classes takes y=None")
            return
        if y is None:
            raise ValueError(
                f"y=None: a generator of {classes} classes needs labels (N,) or class weights (N, {classes})"
            )
        shape = (len(z), classes) if y.is_floating_point() else (len(z),)
        if y.shape != shape:
            raise ValueError(f"y of shape {tuple(y.shape)} and {y.dtype}: {shape} is allowed")
        if not y.is_floating_point() and y.dtype != torch.int64:
            raise ValueError(f"y of {y.dtype}: int64 labels or float class weights are allowed")
