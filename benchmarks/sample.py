"""Images a second of the generator in inference mode, by batch, against the plain reference, interleaved.

`python -m benchmarks.sample --preset imagenet_128_projection --device cpu --batches 1 8`
"""

import argparse
import contextlib
import sys
from typing import Any, get_args

from train.run.allocator import reexec_with_fast_allocator

if __name__ == "__main__":
    reexec_with_fast_allocator("benchmarks.sample")

import torch

from benchmarks.job import Job, add_options, apply_options, fresh_generator, make_job
from benchmarks.machine import (
    RESULTS,
    WALL,
    Clock,
    computes_in_bf16,
    describe_machine,
    in_turn,
    median_ratio,
    quartiles,
    write_result,
)
from benchmarks.reference import ReferenceGenerator, copy_weights
from sngan_cond.cli import run_command
from sngan_cond.config import ConvBackend
from train.errors import TrainError
from train.run.numerics import set_numerics
from train.sections import SpeedConfig
from train.trainer.speed import lay_out


@torch.inference_mode()
def measure(
    job: Job, batch: int, *, backend: ConvBackend, bf16: bool, rounds: int, clock: Clock = WALL
) -> dict[str, Any]:
    """Time both sides in turn; on a GPU without TF32, ours channels-last.

    Args:
        job: its generator is measured.
        batch: images at once.
        backend: of our convolutions, as for `sngan_cond.fast.set_backend`.
        bf16: whether ours runs under autocast to bfloat16; the reference is float32.
        rounds: alternations that count, after one that does not.
        clock: as for `in_turn`.
    Returns:
        Seconds and images/s of both, and their ratio.
    """
    config = job.config.generator
    set_numerics(job.device, tf32=False, cudnn_benchmark=False)
    G = fresh_generator(config).to(job.device)
    reference = ReferenceGenerator(config).to(job.device).eval()
    copy_weights(G, reference)
    lay_out(G, SpeedConfig(convolution=backend), job.device)
    z = torch.randn(batch, config.latent_dim, device=job.device)
    y = torch.randint(config.num_classes, (batch,), device=job.device)
    context = torch.autocast(job.device.type, torch.bfloat16) if bf16 else contextlib.nullcontext()

    def ours() -> None:
        with context:
            G(z, y)

    calls = {"reference": lambda: reference(z, y), "ours": ours}
    in_turn(calls, 1, job.device, clock)  # warms up
    times = in_turn(calls, rounds, job.device, clock)
    result: dict[str, Any] = {"batch": batch, "backend": backend, "bf16": bf16, "rounds": rounds}
    for side, values in times.items():
        lower, median, upper = quartiles(values)
        result[side] = {"s": median, "quartiles_s": [lower, upper], "images_per_s": batch / median}
    return result | {"ratio": median_ratio(times["reference"], times["ours"])}


def main(arguments: list[str] | None = None) -> int:
    """Measure, print a line each, and write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sample", description=__doc__.partition("\n")[0])
    parser.add_argument("--preset", default="imagenet_128_projection", help="which generator (default: %(default)s)")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 16], help="images at once (default: 1 8 16)")
    parser.add_argument("--backend", default="auto", choices=get_args(ConvBackend), help="default: %(default)s")
    add_options(parser, rounds=7, quick="one image at a time and two alternations", out="sample")
    return run_command(lambda: _run(parser.parse_args(arguments)), TrainError, name=f"{parser.prog}: ")


def _run(options: argparse.Namespace) -> None:
    clock = apply_options(options)
    job = make_job(options.preset, options.device, quick=options.quick)
    batches, rounds = ([1], 2) if options.quick else (options.batches, options.rounds)
    results = []
    for bf16 in (False, True) if computes_in_bf16(job.device) else (False,):
        for batch in batches:
            result = measure(job, batch, backend=options.backend, bf16=bf16, rounds=rounds, clock=clock)
            results.append(result)
            print(
                f"{'bf16' if bf16 else 'fp32'} batch {batch}: {result['reference']['images_per_s']:.2f} -> "
                f"{result['ours']['images_per_s']:.2f} img/s, {result['ratio']:.2f}x",
                flush=True,
            )
    run = {"preset": options.preset, "clock": options.clock, "machine": describe_machine(job.device)}
    out = options.out or RESULTS / f"sample-{options.preset}-{options.device}.json"
    write_result(out, {**run, "results": results})


if __name__ == "__main__":
    sys.exit(main())
