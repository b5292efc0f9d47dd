"""D and G updates on a global batch, whatever the number of processes; run by `accelerate launch`."""

import gc
import os
import sys
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs
from safetensors.torch import save_file

from sngan_cond import (
    ConstraintConfig,
    Discriminator,
    DiscriminatorConfig,
    Generator,
    GeneratorConfig,
    LossConfig,
    build_constraint,
)
from sngan_cond.objectives import DiscriminatorBatch
from train.data.dataset import PreparedDataset
from train.data.feed import RealBatches
from train.run.numerics import set_numerics
from train.trainer.noise import LatentSampler
from train.trainer.speed import SpeedConfig
from train.trainer.state import shared
from train.trainer.update import Updates


def main(data: str, out: str, accumulate: int, power_iterations_at: str, steps: int, device: str) -> None:
    # By gloo on a GPU too: NCCL refuses two processes on one device.
    gloo = [InitProcessGroupKwargs(backend="gloo")] if "LOCAL_RANK" in os.environ else []
    accelerator = Accelerator(cpu=device == "cpu", kwargs_handlers=gloo)
    set_numerics(accelerator.device, tf32=False, cudnn_benchmark=False)
    rank, world = accelerator.process_index, accelerator.num_processes
    torch.manual_seed(rank)  # unlike in every process, until `shared` gives all the main process's
    config = GeneratorConfig(resolution=32, num_classes=10, channels=8, latent_dim=16)
    G = Generator(config)
    for name, buffer in G.named_buffers():  # statistics of a trained network, so that eval mode makes images
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    D = Discriminator(DiscriminatorConfig(resolution=32, num_classes=10, channels=8))
    constraint = build_constraint(ConstraintConfig(power_iterations_at=power_iterations_at))
    constraint.attach(D)
    G, D = shared(G), shared(D)
    # Adam's first step is the sign of the gradient unless eps is large; rounding must not flip signs here.
    opt_g, opt_d = (torch.optim.Adam(net.parameters(), lr=0.1, betas=(0.0, 0.9), eps=1.0) for net in (G, D))
    G.eval()
    speed = SpeedConfig(compile=False)  # compiling takes a minute on a GPU
    updates = Updates(
        accelerator, G=G, D=D, opt_g=opt_g, opt_d=opt_d, constraint=constraint, loss=LossConfig(), speed=speed
    )
    draws = LatentSampler(config, 1, rank, world, accelerator.device)
    dataset = PreparedDataset.open(data)
    reals = RealBatches(dataset, 8, seed=1, rank=rank, world_size=world)
    for step in range(steps):
        real, y_real = (t.to(accelerator.device) for t in reals.at(step))  # the same noise on every device
        z, y = draws.fakes("d", step, 8)
        parts = zip(*(t.chunk(accumulate) for t in (real, y_real, z, y)), strict=True)
        updates.step_d([DiscriminatorBatch(*part) for part in parts])
        z, y = draws.fakes("g", step, 16)
        updates.step_g(list(zip(z.chunk(accumulate), y.chunk(accumulate), strict=True)))
    assert updates.new_notes() == []
    if accelerator.is_main_process:
        tensors = {
            f"{name}/{k}": v
            for name, network in (("G", updates.G), ("D", updates.D))
            for k, v in network.state_dict().items()
        }
        save_file({k: v.contiguous() for k, v in tensors.items()}, Path(out))
    accelerator.end_training()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]), sys.argv[6])
    gc.collect()  # as the trainer's command does
