"""A few updates of small networks as the trainer takes them, in this process."""

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from sngan_cond import (
    Constraint,
    ConstraintConfig,
    Discriminator,
    DiscriminatorConfig,
    Generator,
    GeneratorConfig,
    LossConfig,
    build_constraint,
)
from sngan_cond.augmentation import NUMBERS
from sngan_cond.config import AugmentConfig
from sngan_cond.objectives import DiscriminatorBatch, GeneratorBatch
from train.trainer.speed import SpeedConfig, lay_out
from train.trainer.update import Updates

CPU = torch.device("cpu")
AUGMENT = AugmentConfig(policy=("color", "translation", "cutout"), adaptive=True, target=-0.9, adaptation_images=30)


def short_run(
    speed: SpeedConfig,
    *,
    device: torch.device = CPU,
    mixed_precision: str = "no",
    steps: int = 3,
    few_images: bool = False,
) -> tuple[list[float], Updates]:
    """Take steps of one G and one D update each; returns the losses in turn, and what made them.

    Weights and inputs do not depend on the device.

    Args:
        few_images: train with an augmentation of adaptive strength, and LeCam.
    """
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision=mixed_precision)
    torch.manual_seed(0)
    G = Generator(GeneratorConfig(resolution=32, num_classes=5, channels=32))
    D = Discriminator(DiscriminatorConfig(resolution=32, num_classes=5, channels=32))
    constraint: Constraint = build_constraint(ConstraintConfig())
    constraint.attach(D)
    for network in (G, D):
        lay_out(network, speed, device)
    opt_g, opt_d = (torch.optim.Adam(n.parameters(), lr=2e-4, betas=(0.0, 0.9), fused=True) for n in (G, D))
    updates = Updates(
        accelerator,
        G=G,
        D=D,
        opt_g=opt_g,
        opt_d=opt_d,
        constraint=constraint,
        loss=LossConfig(lecam=0.3 if few_images else 0.0),
        augment=AUGMENT if few_images else None,
        speed=speed,
    )
    numbers = torch.Generator().manual_seed(1)
    losses = []
    for _ in range(steps):
        drawn = torch.randn(8, 128, generator=numbers), torch.randint(5, (8,), generator=numbers)
        z, y, real = (t.to(device) for t in (*drawn, torch.rand(4, 3, 32, 32, generator=numbers) * 2 - 1))
        uniform = (torch.rand(n, NUMBERS, generator=numbers).to(device) if few_images else None for n in (8, 4, 4))
        losses.append(updates.step_g([GeneratorBatch(z, y, next(uniform))])["loss"].item())
        losses.append(updates.step_d([DiscriminatorBatch(real, y[:4], z[:4], y[4:], *uniform)])["loss"].item())
    return losses, updates
