"""Seconds of a D and of a G update against the plain reference, interleaved in one run.

`python -m benchmarks.step --preset cifar10_32_projection --device cpu --switches convolution bf16 fused_adam`
"""

import argparse
import json
import subprocess
import sys
import time
from typing import Any

from train.run.allocator import reexec_with_fast_allocator

if __name__ == "__main__":
    reexec_with_fast_allocator("benchmarks.step")

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.job import Job, add_options, apply_options, build_ours, build_reference, make_job
from benchmarks.machine import (
    RESULTS,
    ROOT,
    WALL,
    Clock,
    computes_in_bf16,
    describe_machine,
    in_turn,
    matrix_peak,
    median_ratio,
    peak_memory_bytes,
    quartiles,
    seconds,
    write_result,
)
from benchmarks.reference import ReferenceUpdates
from sngan_cond.cli import run_command
from train.errors import TrainError

SWITCHES = ("convolution", "channels_last", "bf16", "fused_adam", "compile", "capture", "batched_sn", "tf32")
ON_CPU = ("convolution", "bf16", "fused_adam")  # what it profits from; a GPU does from all
N_DIS = 5


def measure(
    job: Job, switches: tuple[str, ...], *, rounds: int, budget_s: float, clock: Clock = WALL
) -> dict[str, Any]:
    """Time both sides in turn.

    Args:
        job: networks and batches.
        switches: those of ours that are on.
        rounds: at most; one at least.
        budget_s: no round begins after so many seconds.
        clock: as for `in_turn`.
    Returns:
        What is written as JSON.
    """
    d_batch, g_batch = job.draw()
    reference = build_reference(job)
    started = time.perf_counter()
    ours = build_ours(job, switches)
    real = d_batch.real.contiguous()
    calls = {
        ("reference", "d"): lambda: reference.discriminator(real, *d_batch[1:]),
        ("ours", "d"): lambda: ours.step_d([d_batch]),
        ("reference", "g"): lambda: reference.generator(*g_batch),
        ("ours", "g"): lambda: ours.step_g([g_batch]),
    }
    warm_up = {}
    for (side, update), call in calls.items():
        runs = 5 if side == "ours" and "capture" in switches else 1
        warm_up[f"{side}_{update}"] = round(sum(seconds(call, job.device, clock) for _ in range(runs)), 3)
    times = in_turn(calls, rounds, job.device, clock, deadline=started + budget_s)
    result: dict[str, Any] = {"switches": list(switches), "warm_up_s": warm_up, "notes": list(ours.notes)}
    result["notes"] += [f"capture of {name}: {why}" for name, why in ours.capture_failures().items()]
    result["rounds"] = len(times["ours", "d"])
    for side in ("reference", "ours"):
        d, g = (quartiles(times[side, update]) for update in "dg")
        result[side] = {
            "d_update_s": d[1],
            "g_update_s": g[1],
            "d_quartiles_s": [d[0], d[2]],
            "g_quartiles_s": [g[0], g[2]],
            "real_images_per_s": N_DIS * job.batch / (N_DIS * d[1] + g[1]),
        }
    result["ratio"] = {
        f"{update}_update": median_ratio(times["reference", update], times["ours", update]) for update in "dg"
    }
    return result


def add_arithmetic(job: Job, result: dict[str, Any]) -> None:
    """Add FLOP as executed, FLOP/s, and what part of the measured matrix peak that is."""
    bf16 = "bf16" in result["switches"]
    peaks = {"reference": matrix_peak(torch.float32, job.device)}
    peaks["ours"] = matrix_peak(torch.bfloat16, job.device) if bf16 else peaks["reference"]
    d_batch, g_batch = job.draw()
    eager = tuple(name for name in result["switches"] if name not in ("compile", "capture"))
    ours, reference = build_ours(job, eager), build_reference(job)
    counted = {
        "reference": (
            lambda: reference.discriminator(*d_batch),
            lambda: reference.generator(*g_batch),
        ),
        "ours": (lambda: ours.step_d([d_batch]), lambda: ours.step_g([g_batch])),
    }
    for side, calls in counted.items():
        for update, call in zip("dg", calls, strict=True):
            with FlopCounterMode(display=False) as counter:
                call()
            rate = counter.get_total_flops() / result[side][f"{update}_update_s"]
            result[side] |= {
                f"{update}_flop": counter.get_total_flops(),
                f"{update}_flop_per_s": rate,
                f"{update}_share_of_peak": rate / peaks[side],
            }
        result[side]["peak_flop_per_s"] = peaks[side]


def add_memory(job: Job, preset: str, result: dict[str, Any]) -> None:
    """Add the peak memory of each side, each run in a process of its own."""
    for side in ("reference", "ours"):
        line = [sys.executable, "-m", "benchmarks.step", "--preset", preset, "--device", job.device.type]
        line += ["--batch", str(job.batch), "--batch-g", str(job.batch_g), "--memory-of", side]
        line += ["--switches", *(name for name in result["switches"] if name != "compile")]
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
        result[side]["peak_memory_bytes"] = int(done.stdout.split()[-1])


def memory_of(job: Job, side: str, switches: tuple[str, ...]) -> int:
    """Return how far two updates of each kind raise the peak memory above what the process held, in bytes."""
    before = peak_memory_bytes(job.device)
    d_batch, g_batch = job.draw()
    if side == "reference":
        reference = ReferenceUpdates(job.config.generator, job.config.discriminator, job.device)
        for _ in range(2):
            reference.generator(*g_batch)
            reference.discriminator(*d_batch)
    else:
        ours = build_ours(job, switches)
        for _ in range(2):
            ours.step_g([g_batch])
            ours.step_d([d_batch])
    return peak_memory_bytes(job.device) - before


def print_result(result: dict[str, Any]) -> None:
    """Print a measurement as a line."""
    ratio, ours, reference = result["ratio"], result["ours"], result["reference"]
    names = " ".join(result["switches"]) or "no switch"
    print(
        f"{names:60} D {reference['d_update_s']:.3f} -> {ours['d_update_s']:.3f} s "
        f"{ratio['d_update']:.2f}x   G {reference['g_update_s']:.3f} -> {ours['g_update_s']:.3f} s "
        f"{ratio['g_update']:.2f}x   {ours['real_images_per_s']:.1f} img/s",
        flush=True,
    )


def _switches(options: argparse.Namespace) -> tuple[str, ...]:
    asked = options.switches
    if asked is None:
        usual = SWITCHES if options.device == "cuda" else ON_CPU
        has_bf16 = options.device == "cuda" or computes_in_bf16(torch.device("cpu"))
        asked = [name for name in usual if name != "bf16" or has_bf16]
    return tuple(name for entry in asked for name in entry.split(",") if name)


def _measure_and_print(
    job: Job, switches: tuple[str, ...], options: argparse.Namespace, clock: Clock
) -> dict[str, Any]:
    rounds, budget_s = (2, 15.0) if options.quick else (options.rounds, 300.0)
    result = measure(job, switches, rounds=rounds, budget_s=budget_s, clock=clock)
    if not options.quick:
        add_arithmetic(job, result)
        add_memory(job, options.preset, result)
    print_result(result)
    if options.each:
        result["alone"] = [
            measure(job, (name,), rounds=max(rounds // 3, 1), budget_s=budget_s / 3, clock=clock) for name in switches
        ]
        for alone in result["alone"]:
            print_result(alone)
    result |= {
        "preset": options.preset,
        "batch": job.batch,
        "batch_g": job.batch_g,
        "quick": options.quick,
        "clock": options.clock,
    }
    result["machine"] = describe_machine(job.device)
    return result


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step", description=__doc__.partition("\n")[0])
    parser.add_argument("--preset", default="cifar10_32_projection", help="networks and sizes (default: %(default)s)")
    parser.add_argument(
        "--switches",
        nargs="*",
        metavar="NAME",
        help=f"what is on, of {', '.join(SWITCHES)}; nothing for none (default: what the device profits from)",
    )
    parser.add_argument("--each", action="store_true", help="measure each switch alone as well as all together")
    parser.add_argument("--batch", type=int, help="images of a D update (default: by device and side)")
    parser.add_argument("--batch-g", type=int, help="images of a G update (default: CPU --batch, GPU twice that)")
    parser.add_argument(
        "--memory-of", choices=["reference", "ours"], help="only print that side's peak memory in bytes"
    )
    add_options(parser, rounds=9, quick="a quarter of the batch, and an end within 60 s", out="step")
    return run_command(lambda: _run(parser.parse_args(arguments)), TrainError, name=f"{parser.prog}: ")


def _run(options: argparse.Namespace) -> None:
    switches = _switches(options)
    for name in switches:
        if name not in SWITCHES:
            raise TrainError(f"--switches {name}: allowed are {', '.join(SWITCHES)}")
    clock = apply_options(options)
    job = make_job(options.preset, options.device, batch=options.batch, batch_g=options.batch_g, quick=options.quick)
    if options.memory_of:
        print(memory_of(job, options.memory_of, switches))
        return
    result = _measure_and_print(job, switches, options, clock)
    print(json.dumps({key: result[key] for key in ("reference", "ours", "ratio", "switches")}))
    precision = "bf16" if "bf16" in switches else "fp32"
    write_result(options.out or RESULTS / f"step-{options.preset}-{options.device}-{precision}.json", result)


if __name__ == "__main__":
    sys.exit(main())
