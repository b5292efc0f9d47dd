"""The discriminator: a trunk and a head of plain layers, to which a constraint is attached from outside."""

from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from sngan_cond.atomic import atomic_folder
from sngan_cond.config import DiscriminatorConfig
from sngan_cond.constraints.config import OFF, ConstraintConfig
from sngan_cond.hub.files import DISCRIMINATOR_FILE, TRAINING_FILE, ModelFiles, PretrainedError, folder_to_write
from sngan_cond.hub.loadable import Loadable
from sngan_cond.hub.weights import read_weights, save_weights
from sngan_cond.networks.arguments import Array, take_labels, take_rows
from sngan_cond.networks.autoencoder import Autoencoder
from sngan_cond.networks.cnn import CnnTrunk
from sngan_cond.networks.dcgan import DcganTrunk
from sngan_cond.networks.heads import DiscriminatorOutput, Head
from sngan_cond.networks.mnist import MnistTrunk
from sngan_cond.networks.rebuilding import config_text, constrained, rebuild
from sngan_cond.networks.resnet import ResNetTrunk

_TRUNKS: dict[str, type[ResNetTrunk | CnnTrunk | DcganTrunk | MnistTrunk]] = {
    "resnet": ResNetTrunk,
    "cnn": CnnTrunk,
    "dcgan": DcganTrunk,
    "mnist": MnistTrunk,
}


class Discriminator(nn.Module, Loadable):
    """Scores images, given their labels where it has classes; `constraint` is the configuration of what is attached.

    As in the official code, a spectral norm's u moves a round at every use of the score layer and of embeddings, in
    eval mode too: scores of the same images differ a little from call to call, and converge.
    """

    constraint: ConstraintConfig = OFF
    _needed_files = (DISCRIMINATOR_FILE,)
    _optional_files = (TRAINING_FILE,)

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        if config.head == "reconstruction":
            self.autoencoder = Autoencoder(config)
            return
        trunk = _TRUNKS[config.architecture](config)
        bias = trunk.score_bias if config.score_bias is None else config.score_bias
        self.trunk = trunk
        self.head = Head(config, features=trunk.features, bias=bias)

    def forward(self, x: Array, y: Array | int | None = None) -> DiscriminatorOutput:
        """Score images.

        Tensors, NumPy arrays and lists are taken, and moved to the discriminator's device; images are cast to its type,
        outside of autocast.

        Args:
            x: (N, 3, R, R) images in [-1, 1].
            y: (N,) integer labels, or one label for all images; None leaves the projection out, and is refused by the
                concat head.
        Returns:
            `DiscriminatorOutput` with score (N,); an autoencoder's is minus its reconstruction error.
        Raises:
            ValueError: if `x` or `y` is of another shape, kind or (on the CPU) range, or labels are missing or
                unexpected.
        """
        images, labels = self._arguments(x, y)
        if self.config.head == "reconstruction":
            return DiscriminatorOutput(-self.autoencoder.error(images))
        output: DiscriminatorOutput = self.head(self.trunk(images, labels), labels)
        return output

    def features(self, x: Array, y: Array | int | None = None) -> Tensor:
        """Return what the head reads.

        Args:
            x: as for a call.
            y: as for a call; only the concat head, whose trunk sees the labels, needs them.
        Returns:
            (N, C).
        Raises:
            ValueError: as for a call, or if the head is an autoencoder, which has no features.
        """
        if self.config.head == "reconstruction":
            raise ValueError(
                "features of the head 'reconstruction': an autoencoder has none; any other head is allowed"
            )
        features: Tensor = self.trunk(*self._arguments(x, y))
        return features

    @property
    def stages(self) -> nn.ModuleList:
        """The trunk's residual blocks, or its convolutions, from the image up; none of an autoencoder."""
        if self.config.head == "reconstruction":
            return nn.ModuleList()
        return self.trunk.blocks if isinstance(self.trunk, ResNetTrunk) else self.trunk.convs

    def save_pretrained(self, save_directory: str | Path, *, half: bool = False) -> None:
        """Write `discriminator.safetensors`, alone or into a model folder; `from_pretrained` reads it.

        Args:
            save_directory: the folder; created if missing, and its other files stay.
            half: write weights in float16, half as large.
        Raises:
            PretrainedError: if the weights are not those of the config and constraint, or the folder cannot be written.
        """
        try:
            with atomic_folder(folder_to_write(save_directory)) as draft:
                self.write(draft / DISCRIMINATOR_FILE, half=half)
        except OSError as error:
            raise PretrainedError(f"{save_directory}: cannot be written ({error.strerror or error})") from error

    def write(self, path: Path, *, half: bool = False) -> None:
        """Write one file, as `save_pretrained` does."""
        if constrained(type(self), self.config, self.constraint).state_dict().keys() != self.state_dict().keys():
            raise PretrainedError("the discriminator carries more than its constraint: remove what was added")
        save_weights(self, path, half=half, text=self.stored_config)

    @property
    def stored_config(self) -> str:
        """What a file of its weights says about them, as JSON."""
        return config_text(self.config, self.constraint)

    @classmethod
    def _read(cls, files: ModelFiles, dtype: torch.dtype) -> Self:
        path = files.folder / DISCRIMINATOR_FILE
        D = rebuild(cls, files).to(dtype)
        D.load_state_dict(read_weights(path, D.state_dict(), dtype))
        return D

    def _arguments(self, x: Array, y: Array | int | None) -> tuple[Tensor, Tensor | None]:
        side, classes = self.config.resolution, self.config.num_classes
        images = take_rows(self, "x", x, (3, side, side))
        if y is None:
            return images, None
        if not classes:
            raise ValueError("y is given: a discriminator without classes takes y=None")
        return images, take_labels(y, images, classes, weights=False)
