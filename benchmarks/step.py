"""Seconds of a D and of a G update against the plain reference and the fair rival, interleaved in one run.

`python -m benchmarks.step --preset cifar10_32_projection --device cpu --switches convolution bf16 fused_adam`
"""

import argparse
import json
import subprocess
import sys
import time
from typing import Any, Literal

from train.run.allocator import reexec_with_fast_allocator

if __name__ == "__main__":
    reexec_with_fast_allocator("benchmarks.step")

import torch

from benchmarks.arithmetic import add_shares, count_flop
from benchmarks.job import Job, add_options, apply_options, make_job
from benchmarks.machine import (
    RESULTS,
    ROOT,
    WALL,
    Clock,
    computes_in_bf16,
    describe_machine,
    peak_memory_bytes,
    write_result,
)
from benchmarks.rival import Mode
from benchmarks.sides import Batches, Side, compare, our_side, reference_side, rival_side, warm_up
from sngan_cond.cli import run_command
from sngan_cond.validation import one_line
from train.errors import TrainError

SWITCHES = ("convolution", "channels_last", "bf16", "fused_adam", "compile", "capture", "batched_sn", "tf32")
ON_CPU = ("convolution", "bf16", "fused_adam")  # what it profits from; a GPU does from all
Rival = Mode | Literal["eager"]


def measure(
    job: Job, switches: tuple[str, ...], *, rival: Rival | None, rounds: int, budget_s: float, clock: Clock = WALL
) -> dict[str, Any]:
    """Time all sides in turn.

    Args:
        job: networks and batches.
        switches: those of ours that are on.
        rival: how the rival's losses run; None leaves it out.
        rounds: at most; one at least.
        budget_s: no round begins after so many seconds.
        clock: as for `in_turn`.
    Returns:
        What is written as JSON.
    """
    batches = job.draw()
    started = time.perf_counter()
    names = ("reference", "ours") if rival is None else ("reference", "rival", "ours")
    sides = {name: _side(name, job, batches, switches, rival) for name in names}
    result: dict[str, Any] = {"switches": list(switches), "warm_up_s": {}, "notes": list(sides["ours"].notes)}
    for name, side in list(sides.items()):
        try:
            result["warm_up_s"][name] = warm_up(side, job.device, clock)
        except RuntimeError as error:
            if name != "rival":
                raise
            del sides[name]
            result["notes"].append(f"rival: cannot run here: {type(error).__name__}: {one_line(error, 200)}")
    return result | compare(sides, job, rounds=rounds, deadline=started + budget_s, clock=clock)


def _side(name: str, job: Job, batches: Batches, switches: tuple[str, ...], rival: Rival | None) -> Side:
    """Build a side by name; the rival takes the precision of ours."""
    if name == "reference":
        return reference_side(job, batches)
    if name == "ours":
        return our_side(job, batches, switches)
    mode = None if rival == "eager" else rival
    return rival_side(job, batches, bf16="bf16" in switches, tf32="tf32" in switches, mode=mode)


def add_arithmetic(job: Job, result: dict[str, Any]) -> None:
    """Add FLOP as executed, FLOP/s, and what part of the measured matrix peak that is.

    The rival has the reference's networks and so their FLOP; compiled code is not counted.
    """
    batches = job.draw()
    eager = tuple(name for name in result["switches"] if name not in ("compile", "capture"))
    plain, ours = (count_flop(side) for side in (reference_side(job, batches), our_side(job, batches, eager)))
    for name, flop in (("reference", plain), ("rival", plain), ("ours", ours)):
        if name in result:
            add_shares(result[name], flop, job.device)


def add_memory(job: Job, preset: str, result: dict[str, Any]) -> None:
    """Add the peak memory of each side, each run in a process of its own and without a compiler."""
    for side in ("reference", "rival", "ours"):
        if side not in result:
            continue
        line = [sys.executable, "-m", "benchmarks.step", "--preset", preset, "--device", job.device.type]
        line += ["--batch", str(job.batch), "--batch-g", str(job.batch_g), "--memory-of", side]
        line += ["--switches", *(name for name in result["switches"] if name != "compile")]
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
        result[side]["peak_memory_bytes"] = int(done.stdout.split()[-1])


def memory_of(job: Job, name: str, switches: tuple[str, ...]) -> int:
    """Return how far two updates of each kind raise the peak memory above what the process held, in bytes."""
    before = peak_memory_bytes(job.device)
    side = _side(name, job, job.draw(), switches, "eager")
    for update in "gdgd":
        side.update(update)
    return peak_memory_bytes(job.device) - before


def print_result(result: dict[str, Any]) -> None:
    """Print a measurement as a line: seconds of each side, and how many times as fast ours is."""
    names = " ".join(result["switches"]) or "no switch"
    updates = "   ".join(f"{update.upper()} {_update_line(result, update)}" for update in "dg")
    print(f"{names:60} {updates}   {result['ours']['real_images_per_s']:.1f} img/s", flush=True)
    for note in result["notes"]:
        print(f"  note: {note}", flush=True)


def _update_line(result: dict[str, Any], update: str) -> str:
    key = f"{update}_update"
    line = f"{result['ours'][f'{key}_s']:.3f} s"
    for side, ratio in (("reference", "ratio"), ("rival", "ratio_to_rival")):
        had = result[ratio] is not None
        line += f", {side} {result[side][f'{key}_s']:.3f} s {result[ratio][key]:.2f}x" if had else f", {side} -"
    return line


def _switches(options: argparse.Namespace) -> tuple[str, ...]:
    asked = options.switches
    if asked is None:
        usual = SWITCHES if options.device == "cuda" else ON_CPU
        has_bf16 = options.device == "cuda" or computes_in_bf16(torch.device("cpu"))
        asked = [name for name in usual if name != "bf16" or has_bf16]
    return tuple(name for entry in asked for name in entry.split(",") if name)


def _rival(options: argparse.Namespace) -> Rival | None:
    """Resolve --rival: by default CUDA graphs on a GPU, the compiler alone on a CPU, and with --quick neither."""
    if options.rival == "off" or (options.rival is None and options.quick):
        return None
    return options.rival or ("reduce-overhead" if options.device == "cuda" else "default")


def _measure_and_print(
    job: Job, switches: tuple[str, ...], options: argparse.Namespace, clock: Clock
) -> dict[str, Any]:
    rounds, budget_s = (2, 15.0) if options.quick else (options.rounds, 300.0)
    rival = _rival(options)
    result = measure(job, switches, rival=rival, rounds=rounds, budget_s=budget_s, clock=clock)
    if rival is None:
        result["notes"].append(f"rival: left out by {'--quick' if options.rival is None else '--rival off'}")
    if not options.quick:
        add_arithmetic(job, result)
        add_memory(job, options.preset, result)
    print_result(result)
    if options.each:
        result["alone"] = [
            measure(job, (name,), rival=None, rounds=max(rounds // 3, 1), budget_s=budget_s / 3, clock=clock)
            for name in switches
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
        "--rival",
        choices=["default", "reduce-overhead", "eager", "off"],
        help="its mode of torch.compile, which takes a minute the first time, or eager, or off "
        "(default: reduce-overhead on cuda, default on a CPU, off with --quick)",
    )
    parser.add_argument(
        "--memory-of", choices=["reference", "rival", "ours"], help="only print that side's peak memory in bytes"
    )
    add_options(parser, rounds=9, quick="a quarter of the batch, no rival, and an end within 60 s", out="step")
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
    print(
        json.dumps(
            {key: result.get(key) for key in ("reference", "rival", "ours", "ratio", "ratio_to_rival", "switches")}
        )
    )
    precision = "bf16" if "bf16" in switches else "fp32"
    write_result(options.out or RESULTS / f"step-{options.preset}-{options.device}-{precision}.json", result)


if __name__ == "__main__":
    sys.exit(main())
