"""The fair rival of all speed figures: the reference's networks as a good engineer would run them in PyTorch today.

Autocast to bfloat16 where the device computes in it, channels-last, one fused Adam a network, and each loss as one
compiled function, which on a GPU is replayed as CUDA graphs. Networks, losses and spectral normalisation are those of
`reference.py`, so nothing but the machinery differs.
"""

from typing import Literal

import torch
from torch import Tensor

from benchmarks.reference import ReferenceUpdates
from sngan_cond import DiscriminatorConfig, GeneratorConfig

Mode = Literal["default", "reduce-overhead"]  # of torch.compile; the second makes CUDA graphs


class RivalUpdates(ReferenceUpdates):
    """Both updates of the rival.

    Args:
        bf16: whether the losses run under autocast to bfloat16.
        mode: of torch.compile; None leaves the losses eager.
    """

    def __init__(
        self,
        g_config: GeneratorConfig,
        d_config: DiscriminatorConfig,
        device: torch.device,
        *,
        bf16: bool,
        mode: Mode | None,
    ) -> None:
        super().__init__(g_config, d_config, device, fused=True)
        self.G.to(memory_format=torch.channels_last)
        self.D.to(memory_format=torch.channels_last)
        self.device, self.bf16, self.mode = device, bf16, mode
        if mode is not None:  # the whole loss: one graph forward and one backward, whatever is called in between
            self.discriminator_loss = torch.compile(self.discriminator_loss, mode=mode, dynamic=False)
            self.generator_loss = torch.compile(self.generator_loss, mode=mode, dynamic=False)

    def discriminator_loss(self, real: Tensor, y_real: Tensor, z: Tensor, y_fake: Tensor) -> Tensor:
        """Hinge loss of D in the rival's precision."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            return super().discriminator_loss(real, y_real, z, y_fake)

    def generator_loss(self, z: Tensor, y: Tensor) -> Tensor:
        """Hinge loss of G in the rival's precision."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            return super().generator_loss(z, y)

    def discriminator(self, real: Tensor, y_real: Tensor, z: Tensor, y_fake: Tensor) -> Tensor:
        """Take one D update and return its loss."""
        self._mark_step()
        return super().discriminator(real, y_real, z, y_fake)

    def generator(self, z: Tensor, y: Tensor) -> Tensor:
        """Take one G update and return its loss."""
        self._mark_step()
        return super().generator(z, y)

    def _mark_step(self) -> None:
        """Say that what the last update's graphs returned may be overwritten, as PyTorch asks of the caller."""
        if self.mode == "reduce-overhead":
            torch.compiler.cudagraph_mark_step_begin()
