"""The generator: from latents and labels to images."""

from torch import Tensor, nn

from sngan_cond.classes import Classes
from sngan_cond.config import GeneratorConfig
from sngan_cond.hub.pretrained import PretrainedMixin
from sngan_cond.networks.arguments import Array, take_labels, take_rows
from sngan_cond.networks.cnn import CnnGenerator
from sngan_cond.networks.dcgan import DcganGenerator
from sngan_cond.networks.mnist import MnistGenerator
from sngan_cond.networks.resnet import ResNetGenerator

_NETWORKS = {"resnet": ResNetGenerator, "cnn": CnnGenerator, "dcgan": DcganGenerator, "mnist": MnistGenerator}


class Generator(nn.Module, PretrainedMixin):  # type: ignore[misc]  # as in the mixin
    """Makes images from latents and, where it has classes, labels or class weights."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.network = _NETWORKS[config.architecture](config)
        for module in self.network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = config.norm_eps

    @property
    def classes(self) -> Classes:
        """The classes, which can be searched; none for a generator without classes."""
        return Classes(self.config)

    def forward(self, z: Array, y: Array | int | None = None) -> Tensor:
        """Generate images.

        Tensors, NumPy arrays and lists are taken, and moved to the generator's device. Latents are cast to its type,
        outside of autocast, and images are of that type.

        Args:
            z: (N, latent_dim) latents.
            y: (N,) integer labels, one label for all images, (N, num_classes) float class weights, or None without
                classes.
        Returns:
            (N, 3, R, R) images in [-1, 1].
        Raises:
            ValueError: if `z` or `y` is of another shape, kind or (on the CPU) range, or labels are missing or
                unexpected.
        """
        classes = self.config.num_classes
        latents = take_rows(self, "z", z, (self.config.latent_dim,))
        if classes and y is None:
            raise ValueError(
                f"y=None: a generator of {classes} classes needs labels (N,) or class weights (N, {classes})"
            )
        if not classes and y is not None:
            raise ValueError("y is given: a generator without classes takes y=None")
        images: Tensor = self.network(latents, None if y is None else take_labels(y, latents, classes, weights=True))
        return images
