"""Spectral normalisation alone: seconds of one use of all weights, forward and backward, against PyTorch's own.

`python -m benchmarks.spectral --preset imagenet_128_projection --device cpu`
"""

import argparse
import sys
from functools import partial
from typing import Any

from train.run.allocator import reexec_with_fast_allocator

if __name__ == "__main__":
    reexec_with_fast_allocator("benchmarks.spectral")

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from benchmarks.job import Job, add_options, apply_options, make_job
from benchmarks.machine import RESULTS, WALL, Clock, describe_machine, quartiles, seconds, write_result
from benchmarks.reference import ReferenceDiscriminator
from sngan_cond import Discriminator, build_constraint
from sngan_cond.cli import run_command
from sngan_cond.constraints.spectral import BatchedPowerIterations
from train.errors import TrainError


def use(network: nn.Module, used: list[Tensor], batched: BatchedPowerIterations | None) -> None:
    """Normalise all weights of a network once.

    Args:
        used: the normalised weights are added to it.
        batched: runs the power iterations of all of them before; None leaves each to its layer.
    """
    if batched is not None:
        batched.iterate(network)
    used.extend(layer.weight for layer in network.modules() if parametrize.is_parametrized(layer, "weight"))
    if batched is not None:
        batched.store()


def measure(job: Job, *, rounds: int, clock: Clock = WALL) -> dict[str, Any]:
    """Time PyTorch's normalisation, ours layer by layer, and ours batched, in turn.

    Args:
        job: its discriminator is measured.
        rounds: alternations that count, after one that does not.
        clock: as for `in_turn`.
    Returns:
        Median seconds of the forward and the backward half of one use of each.
    """
    ours = Discriminator(job.config.discriminator)
    build_constraint(job.config.constraint).attach(ours)
    networks = {
        "reference": (ReferenceDiscriminator(job.config.discriminator).to(job.device), None),
        "ours": (ours.to(job.device), None),
        "ours_batched": (ours, BatchedPowerIterations()),
    }
    weights: list[Tensor] = []
    use(ours, weights, None)
    grads = [torch.randn_like(weight) for weight in weights]
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in networks}
    for i in range(rounds + 1):
        for name, (network, batched) in networks.items():
            used: list[Tensor] = []
            ahead = seconds(partial(use, network, used, batched), job.device, clock)
            back = seconds(partial(torch.autograd.backward, used, grads), job.device, clock)
            network.zero_grad()
            if i:  # the first round warms up
                times[name].append((ahead, back))
    result: dict[str, Any] = {"rounds": rounds, "weights": sum(p.numel() for p in grads)}
    for name, values in times.items():
        ahead, back = (quartiles([pair[k] for pair in values])[1] for k in range(2))
        result[name] = {"forward_s": ahead, "backward_s": back, "d_update_s": 2 * (ahead + back)}
    return result


def main(arguments: list[str] | None = None) -> int:
    """Measure, print a line each, and write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spectral", description=__doc__.partition("\n")[0])
    parser.add_argument("--preset", default="imagenet_128_projection", help="which D (default: %(default)s)")
    add_options(parser, rounds=15, quick="three alternations", out="spectral")
    return run_command(lambda: _run(parser.parse_args(arguments)), TrainError, name=f"{parser.prog}: ")


def _run(options: argparse.Namespace) -> None:
    clock = apply_options(options)
    job = make_job(options.preset, options.device, quick=options.quick)
    result = measure(job, rounds=3 if options.quick else options.rounds, clock=clock)
    for name in ("reference", "ours", "ours_batched"):
        times = "  ".join(f"{half} {1000 * value:.2f} ms" for half, value in result[name].items())
        print(f"{name:14} {times}", flush=True)
    result |= {"preset": options.preset, "clock": options.clock, "machine": describe_machine(job.device)}
    write_result(options.out or RESULTS / f"spectral-{options.preset}-{options.device}.json", result)


if __name__ == "__main__":
    sys.exit(main())
