"""What the speed measurements share: networks and inputs of a preset, ours and the reference, and the flags."""

import argparse
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor

from benchmarks.machine import WALL, Clock
from benchmarks.reference import ReferenceUpdates, copy_weights
from sngan_cond import Discriminator, Generator, GeneratorConfig, build_constraint
from sngan_cond.objectives import DiscriminatorBatch
from train.config import TrainConfig
from train.errors import TrainError
from train.presets.load import load_config
from train.trainer.speed import SpeedConfig, lay_out
from train.trainer.update import Updates

CPU_BATCH = {32: 64, 64: 16, 128: 8}  # small enough for a laptop, large enough to be busy
QUICK_DIVISOR = 4  # of the batch


class Job(NamedTuple):
    """What is measured.

    Args:
        config: a resolved preset.
        device: of the networks and inputs.
        batch: real images of a D update, and as many fakes.
        batch_g: fakes of a G update.
    """

    config: TrainConfig
    device: torch.device
    batch: int
    batch_g: int

    def draw(self) -> tuple[DiscriminatorBatch, tuple[Tensor, Tensor]]:
        """Make the inputs of both updates."""
        config, device = self.config, self.device
        side, classes, latent = config.resolution, config.num_classes, config.generator.latent_dim
        real = torch.rand(self.batch, side, side, 3, device=device).permute(0, 3, 1, 2) * 2 - 1  # as the feed lays it
        y, y_fake = (torch.randint(classes, (self.batch,), device=device) for _ in range(2))
        z = torch.randn(self.batch, latent, device=device)
        z_g, y_g = (
            torch.randn(self.batch_g, latent, device=device),
            torch.randint(classes, (self.batch_g,), device=device),
        )
        return DiscriminatorBatch(real, y, z, y_fake), (z_g, y_g)


def fresh_generator(config: GeneratorConfig) -> Generator:
    """Build an untrained generator in eval mode that makes finite images: its running variances are 1, not 0."""
    G = Generator(config).eval()
    for name, buffer in G.named_buffers():
        if name.endswith("running_var"):
            buffer.fill_(1.0)
    return G


def build_ours(job: Job, switches: tuple[str, ...]) -> Updates:
    """Build the package's networks and updates with some switches on and all others off.

    TF32 and cuDNN's settings are the process's, and set before each call (`benchmarks.sides`).
    """
    config, device = job.config, job.device
    AcceleratorState._reset_state(reset_partial_state=True)  # one process measures several precisions in turn
    accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision="bf16" if "bf16" in switches else "no")
    speed = SpeedConfig(
        convolution="auto" if "convolution" in switches else "plain",
        memory_format="channels_last" if "channels_last" in switches else "contiguous",
        compile="compile" in switches,
        capture="capture" in switches,
        batched_sn="batched_sn" in switches,
        one_call="one_call" in switches,
    )
    torch.manual_seed(0)
    G, D = Generator(config.generator).to(device), Discriminator(config.discriminator).to(device)
    constraint = build_constraint(config.constraint)
    constraint.attach(D)
    for network in (G, D):
        lay_out(network, speed, device)
    fused = True if "fused_adam" in switches else None
    opt_g, opt_d = (torch.optim.Adam(n.parameters(), lr=2e-4, betas=(0.0, 0.9), fused=fused) for n in (G, D))
    return Updates(
        accelerator, G=G, D=D, opt_g=opt_g, opt_d=opt_d, constraint=constraint, loss=config.loss, speed=speed
    )


def build_reference(job: Job) -> ReferenceUpdates:
    """Build the plain reference with the weights of ours, and always the same state of its power iterations."""
    torch.manual_seed(0)
    reference = ReferenceUpdates(job.config.generator, job.config.discriminator, job.device)
    ours = build_ours(job, ())
    copy_weights(ours.G, reference.G)
    copy_weights(ours.D, reference.D)
    return reference


def make_job(
    preset: str,
    device: str,
    *,
    batch: int | None = None,
    batch_g: int | None = None,
    quick: bool = False,
    overrides: Iterable[str] = (),
) -> Job:
    """Resolve a preset to what is measured.

    Args:
        overrides: as for `load_config`.
    Raises:
        TrainError: if the preset is not there, or is not one of the ResNets with classes that the reference has.
    """
    config = load_config(preset, overrides)
    fits = config.architecture == "resnet" and config.discriminator.head == "projection" and config.loss.kind == "hinge"
    if not fits or config.constraint.kind != "spectral":
        raise TrainError(f"preset={preset}: the reference is the resnet with projection head, hinge loss and SN")
    where = torch.device(device)
    if batch is None:
        batch = config.batch_total if where.type == "cuda" else CPU_BATCH.get(config.resolution, 8)
        batch = max(batch // QUICK_DIVISOR, 1) if quick else batch
    return Job(config, where, batch, batch_g or (2 * batch if where.type == "cuda" else batch))


def add_options(parser: argparse.ArgumentParser, *, rounds: int, quick: str, out: str) -> None:
    """Add the flags that all speed measurements have.

    Args:
        parser: of one measurement.
        rounds: default number of alternations.
        quick: what --quick does.
        out: what the result's file name begins with.
    """
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=rounds, help="alternations measured (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="threads of the CPU (default: PyTorch's)")
    parser.add_argument("--clock", choices=["wall", "processor"], default="wall", help="processor: with --threads 1")
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help=f"JSON file (default: benchmarks/results/{out}-...json)"
    )


def apply_options(options: argparse.Namespace) -> Clock:
    """Set the number of threads and return the clock that `add_options`' flags ask for.

    Raises:
        TrainError: if the device is missing.
    """
    if options.threads:
        torch.set_num_threads(options.threads)
    check_device(options.device)
    return WALL if options.clock == "wall" else time.process_time


def check_device(name: str) -> None:
    """Raise a TrainError if `--device` names a GPU where there is none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainError("--device cuda: this machine has no GPU that PyTorch can use; cpu is allowed")
