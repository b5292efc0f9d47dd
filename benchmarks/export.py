"""The exported ONNX of a generator against the generator: differences, sizes and images a second on a CPU, in turn.

`python -m benchmarks.export --models bundled 128`
"""

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from train.run.allocator import reexec_with_fast_allocator

if __name__ == "__main__":
    reexec_with_fast_allocator("benchmarks.export")

import onnxruntime
import torch
from torch import Tensor

from benchmarks.job import add_options, apply_options, fresh_generator
from benchmarks.machine import (
    RESULTS,
    WALL,
    Clock,
    describe_machine,
    in_turn,
    median_ratio,
    quartiles,
    seconds,
    write_result,
)
from sngan_cond import Generator, GeneratorConfig
from sngan_cond.cli import run_command
from sngan_cond.export import export_onnx

CHECKED = (1, 7)
_TURN_S = 0.3  # a side computes at least, so that a call begins as it does in a row of them
_PAUSE_S = 0.1  # longer than threads of either side spin when their work is done


def make_generator(name: str) -> Generator:
    """Return the bundled generator, or a fresh one of full width with ImageNet's 1,000 classes.

    Args:
        name: "bundled", or a side in pixels.
    """
    if name == "bundled":
        return Generator.from_pretrained(name)
    if not name.isdecimal():
        raise ValueError(f"--models {name}: bundled or a side in pixels is allowed")
    torch.manual_seed(0)
    return fresh_generator(GeneratorConfig(resolution=int(name)))


@torch.inference_mode()
def measure(
    G: Generator, path: Path, *, half: bool, batches: list[int], rounds: int, clock: Clock = WALL
) -> dict[str, Any]:
    """Export a generator, and compare images and times.

    Args:
        path: the file to write.
        half: whether the file computes in float16; ours is float32.
        batches: images at once, each timed.
        rounds: alternations that count, after one that does not.
        clock: as for `in_turn`.
    Returns:
        Bytes, the largest difference by batch, and images/s of both by batch with their ratio.
    """
    with torch.inference_mode(mode=False):
        export_onnx(G, path, half)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def exported(z: Tensor, y: Tensor) -> Tensor:
        return torch.from_numpy(session.run(["images"], {"z": z.numpy(), "y": y.numpy()})[0])

    def drawn(count: int) -> tuple[Tensor, Tensor]:
        return torch.randn(count, G.config.latent_dim), torch.randint(G.config.num_classes, (count,))

    differences = {}
    for count in CHECKED:
        z, y = drawn(count)
        differences[count] = float((exported(z, y) - G(z, y)).abs().max())
    result: dict[str, Any] = {"half": half, "bytes": path.stat().st_size, "difference": differences, "speed": []}
    for count in batches:
        z, y = drawn(count)
        repeats = math.ceil(_TURN_S / seconds(partial(exported, z, y), torch.device("cpu"), clock))
        calls = {
            "onnxruntime": partial(_repeat, repeats, exported, z, y),
            "rest": lambda: time.sleep(_PAUSE_S),
            "ours": partial(_repeat, repeats, G, z, y),
            "pause": lambda: time.sleep(_PAUSE_S),
        }
        in_turn(calls, 1, torch.device("cpu"), clock)  # warms up
        times = in_turn(calls, rounds, torch.device("cpu"), clock)
        row: dict[str, Any] = {"batch": count, "rounds": rounds, "repeats": repeats}
        for side in ("onnxruntime", "ours"):
            lower, median, upper = (took / repeats for took in quartiles(times[side]))
            row[side] = {"s": median, "quartiles_s": [lower, upper], "images_per_s": count / median}
        result["speed"].append(row | {"ratio": median_ratio(times["ours"], times["onnxruntime"])})
    return result


def _repeat(times: int, network: Callable[[Tensor, Tensor], Tensor], z: Tensor, y: Tensor) -> None:
    for _ in range(times):
        network(z, y)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print a line each, and write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.export", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--models", nargs="+", default=["bundled", "128"], help="bundled, or px of a full-width one (default: both)"
    )
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 7, 16], help="images at once (default: 1 7 16)")
    add_options(parser, rounds=7, quick="one image at a time and two alternations", out="export")
    return run_command(lambda: _run(parser.parse_args(arguments)), ValueError, name=f"{parser.prog}: ")


def _run(options: argparse.Namespace) -> None:
    clock = apply_options(options)
    if options.device != "cpu":
        raise ValueError(f"--device {options.device}: onnxruntime's CPU is what is measured; cpu is allowed")
    batches, rounds = ([1], 2) if options.quick else (options.batches, options.rounds)
    models: dict[str, list[dict[str, Any]]] = {}
    for name in options.models:
        G = make_generator(name)
        for half in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.onnx"
                result = measure(G, path, half=half, batches=batches, rounds=rounds, clock=clock)
            models.setdefault(name, []).append(result)
            _print(name, result)
    machine = describe_machine(torch.device("cpu")) | {"onnxruntime": onnxruntime.__version__}
    write_result(options.out or RESULTS / "export-cpu.json", {"clock": options.clock, "machine": machine, **models})


def _print(name: str, result: dict[str, Any]) -> None:
    apart = ", ".join(f"{worst:.1e} at batch {count}" for count, worst in result["difference"].items())
    print(f"{name} {'float16' if result['half'] else 'float32'}: {result['bytes'] / 1e6:.1f} MB; differs by {apart}")
    for row in result["speed"]:
        theirs, ours = (row[side]["images_per_s"] for side in ("onnxruntime", "ours"))
        print(
            f"  batch {row['batch']}: ours {ours:.1f}, onnxruntime {theirs:.1f} img/s, {row['ratio']:.2f}x", flush=True
        )


if __name__ == "__main__":
    sys.exit(main())
