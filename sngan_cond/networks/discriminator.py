"""The discriminator: a trunk and a head of plain layers, to which a constraint is attached from outside."""

from torch import Tensor, nn

from sngan_cond.config import DiscriminatorConfig
from sngan_cond.networks.autoencoder import Autoencoder
from sngan_cond.networks.cnn import CnnTrunk
from sngan_cond.networks.dcgan import DcganTrunk
from sngan_cond.networks.heads import DiscriminatorOutput, Head
from sngan_cond.networks.mnist import MnistTrunk
from sngan_cond.networks.resnet import ResNetTrunk

_TRUNKS: dict[str, type[ResNetTrunk | CnnTrunk | DcganTrunk | MnistTrunk]] = {
    "resnet": ResNetTrunk,
    "cnn": CnnTrunk,
    "dcgan": DcganTrunk,
    "mnist": MnistTrunk,
}


class Discriminator(nn.Module):
    """Scores images, given their labels where it has classes."""

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

    def forward(self, x: Tensor, y: Tensor | None = None) -> DiscriminatorOutput:
        """Score images.

        Args:
            x: (N, 3, R, R) images in [-1, 1].
            y: (N,) int64 labels; None leaves the projection out, and is refused by the concat head.
        Returns:
            `DiscriminatorOutput` with score (N,); an autoencoder's is minus its reconstruction error.
        """
        if self.config.head == "reconstruction":
            return DiscriminatorOutput(-self.autoencoder.error(x))
        output: DiscriminatorOutput = self.head(self.trunk(x, y), y)
        return output
