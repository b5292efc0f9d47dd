"""The plain reference of all speed figures: the same ResNets, losses and updates written straightforwardly in PyTorch.

Eager, contiguous, every resampling and convolution as the paper draws it,
`torch.nn.utils.parametrizations.spectral_norm` as it stands, `torch.optim.Adam` with its defaults. That normalisation
keeps v and iterates in another order than the official code, so scores agree with the package's to rounding once both
power iterations have converged.
"""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from sngan_cond import DiscriminatorConfig, GeneratorConfig
from sngan_cond.config import BATCH_NORM_EPS, BATCH_NORM_MOMENTUM, plan_for


class _ConditionalBatchNorm(nn.Module):
    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM, affine=False)
        self.gain = nn.Parameter(torch.ones(num_classes, channels))
        self.bias = nn.Parameter(torch.zeros(num_classes, channels))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.norm(x) * self.gain[y][:, :, None, None] + self.bias[y][:, :, None, None]


class _UpBlock(nn.Module):
    def __init__(self, c_in: int, c_out: int, num_classes: int) -> None:
        super().__init__()
        self.norm1 = _ConditionalBatchNorm(c_in, num_classes)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.norm2 = _ConditionalBatchNorm(c_out, num_classes)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        self.skip = nn.Conv2d(c_in, c_out, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h = F.interpolate(F.relu(self.norm1(x, y)), scale_factor=2)
        h = self.conv2(F.relu(self.norm2(self.conv1(h), y)))
        return h + self.skip(F.interpolate(x, scale_factor=2))


class ReferenceGenerator(nn.Module):
    """The ResNet generator with classes, of the same config as ours."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        plan = plan_for(config.resolution)
        widths = [config.width * width for width in plan.g_widths]
        self.first_side = plan.first_side
        self.linear = nn.Linear(config.latent_dim, widths[0] * plan.first_side**2)
        self.blocks = nn.ModuleList(_UpBlock(a, b, config.num_classes) for a, b in itertools.pairwise(widths))
        self.norm = nn.BatchNorm2d(widths[-1], eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM)
        self.conv = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Map latents and labels to images."""
        h = self.linear(z).view(len(z), -1, self.first_side, self.first_side)
        for block in self.blocks:
            h = block(h, y)
        return torch.tanh(self.conv(F.relu(self.norm(h))))


class _DownBlock(nn.Module):
    def __init__(self, c_in: int, c_out: int, *, halves: bool, is_first: bool) -> None:
        super().__init__()
        self.halves, self.is_first = halves, is_first
        hidden = c_out if is_first else c_in
        self.conv1 = spectral_norm(nn.Conv2d(c_in, hidden, 3, padding=1))
        self.conv2 = spectral_norm(nn.Conv2d(hidden, c_out, 3, padding=1))
        self.skip = spectral_norm(nn.Conv2d(c_in, c_out, 1)) if halves or c_in != c_out else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(F.relu(self.conv1(x if self.is_first else F.relu(x))))
        if self.halves:
            h = F.avg_pool2d(h, 2)
        if self.skip is None:
            return h + x
        if self.is_first:
            return h + self.skip(F.avg_pool2d(x, 2))
        x = self.skip(x)
        return h + (F.avg_pool2d(x, 2) if self.halves else x)


class ReferenceDiscriminator(nn.Module):
    """The ResNet discriminator with a projection head and spectral normalisation, of the same config as ours."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        plan = plan_for(config.resolution)
        widths = [3, *(config.width * width for width in plan.d_widths)]
        self.blocks = nn.ModuleList(
            _DownBlock(a, b, halves=i < plan.d_halves, is_first=i == 0)
            for i, (a, b) in enumerate(itertools.pairwise(widths))
        )
        self.linear = spectral_norm(nn.Linear(widths[-1], 1, bias=plan.score_bias))
        self.embed = spectral_norm(nn.Embedding(config.num_classes, widths[-1]))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Map images and labels to scores (N,)."""
        for block in self.blocks:
            x = block(x)
        features = F.relu(x).sum(dim=(2, 3))
        return self.linear(features).squeeze(1) + (self.embed(y) * features).sum(dim=1)


class ReferenceUpdates:
    """Both updates with the hinge loss, as a tutorial would write them.

    Args:
        fused: of both Adams; PyTorch's default chooses.
    """

    def __init__(
        self,
        g_config: GeneratorConfig,
        d_config: DiscriminatorConfig,
        device: torch.device,
        *,
        fused: bool | None = None,
    ) -> None:
        self.G, self.D = ReferenceGenerator(g_config).to(device), ReferenceDiscriminator(d_config).to(device)
        self.opt_g, self.opt_d = (
            torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.0, 0.9), fused=fused)
            for network in (self.G, self.D)
        )

    def discriminator_loss(self, real: Tensor, y_real: Tensor, z: Tensor, y_fake: Tensor) -> Tensor:
        """Hinge loss of D on real images and as many fakes."""
        with torch.no_grad():
            fake = self.G(z, y_fake)
        return F.relu(1 - self.D(real, y_real)).mean() + F.relu(1 + self.D(fake, y_fake)).mean()

    def generator_loss(self, z: Tensor, y: Tensor) -> Tensor:
        """Hinge loss of G."""
        return -self.D(self.G(z, y), y).mean()

    def discriminator(self, real: Tensor, y_real: Tensor, z: Tensor, y_fake: Tensor) -> Tensor:
        """Take one D update and return its loss."""
        self.opt_d.zero_grad()
        loss = self.discriminator_loss(real, y_real, z, y_fake)
        loss.backward()
        self.opt_d.step()
        return loss.detach()

    def generator(self, z: Tensor, y: Tensor) -> Tensor:
        """Take one G update and return its loss."""
        self.opt_g.zero_grad()
        self.D.requires_grad_(False)
        loss = self.generator_loss(z, y)
        loss.backward()
        self.opt_g.step()
        self.D.requires_grad_(True)
        return loss.detach()


def copy_weights(source: nn.Module, reference: nn.Module) -> None:
    """Give the reference the weights of one of the package's networks; power iterations keep their own state.

    Args:
        source: `sngan_cond.Generator` or `sngan_cond.Discriminator` with spectral normalisation attached.
        reference: the same network of this file, changed in place.
    """
    own = {_key(name): tensor for name, tensor in source.state_dict().items()}
    state = reference.state_dict()
    for name, tensor in state.items():
        if not name.endswith(("._u", "._v")):
            tensor.copy_(own[name])
    reference.load_state_dict(state)


def _key(name: str) -> str:
    for prefix in ("network.", "trunk.", "head."):
        name = name.removeprefix(prefix)
    return name
