"""Sampling and training on a CPU alone and beside busy processes: `python -m benchmarks.busy`.

Each measurement is a process of its own: of today's defaults, or as before, with threads that spin while they wait and
one image a batch. All of a round run before the next.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from train.run.allocator import reexec_with_fast_allocator

if __name__ == "__main__":
    reexec_with_fast_allocator("benchmarks.busy")

import torch

from benchmarks.job import fresh_generator
from benchmarks.machine import RESULTS, ROOT, describe_machine, quartiles, write_result
from sngan_cond import Generator, GeneratorConfig, sample
from sngan_cond.cli import run_command
from sngan_cond.fast.waiting import WAITING
from train.errors import TrainError
from train.presets.load import load_config
from train.trainer.loop import train

GENERATORS = {
    "bundled": lambda: Generator.from_pretrained("bundled"),  # 32 px, narrow
    "32 px": lambda: fresh_generator(GeneratorConfig(resolution=32, num_classes=10)),
    "128 px": lambda: fresh_generator(GeneratorConfig(resolution=128, num_classes=1000)),
}
WORK = ("train", *GENERATORS)
SIDES = ("before", "now")


def sampling_rate(G: Generator, batch_size: int | None, seconds: float = 5) -> float:
    """Return images a second of `sample`, which is asked for 64 of one class at a time, or 16 of 128 px."""
    count = 64 if G.config.resolution < 128 else 16
    sample(G, classes=[0], batch_size=batch_size)
    start, made = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        made += len(sample(G, classes=[0] * count, seed=made, batch_size=batch_size))
    return made / (time.perf_counter() - start)


def training_rate(data: Path, seconds: float = 25) -> float:
    """Return real images a second of the demonstration's run, from its first logged step on."""
    stop = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM))
    stop.daemon = True
    stop.start()
    with tempfile.TemporaryDirectory() as folder:
        train(load_config("shapes_32", [f"data.path={data}", "log_every=1"]), Path(folder))
        lines = [json.loads(line) for line in (Path(folder) / "scalars.jsonl").read_text().splitlines()]
    first, last = lines[0], lines[-1]
    return float((last["images_seen"] - first["images_seen"]) / (last["seconds"] - first["seconds"]))


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Let other processes compute meanwhile."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def main(arguments: list[str] | None = None) -> int:
    """Measure, print a line each, and write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.busy", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each (default: %(default)s)")
    parser.add_argument("--busy", type=int, default=os.cpu_count(), help="other processes (default: one a processor)")
    parser.add_argument("--work", nargs="+", choices=WORK, default=WORK, help="default: all")
    parser.add_argument("--out", type=Path, default=RESULTS / "busy.json", help="default: %(default)s")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)  # side, work and data of one measurement
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(_measure(*options.one)))
        return 0
    return run_command(lambda: _run(options), TrainError, name=f"{parser.prog}: ")


def _measure(side: str, work: str, data: str) -> float:
    if side == "before":
        WAITING.adapt = lambda: None  # type: ignore[method-assign]
    if work == "train":
        return training_rate(Path(data))
    return sampling_rate(GENERATORS[work](), 1 if side == "before" else None)


def _run(options: argparse.Namespace) -> None:
    rates: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/shapes-32"
        prepare = ["--source", "shapes", "--resolution", "32", "--limit", "2000", "--out", data]
        subprocess.run([sys.executable, "-m", "train.prepare", *prepare], cwd=ROOT, check=True, capture_output=True)
        for _ in range(options.rounds):
            for others in (0, options.busy):
                for work in options.work:
                    for side in SIDES:
                        with busy(others):
                            rates[f"{work}, {others} busy, {side}"].append(_in_process(side, work, data))
    results: dict[str, Any] = {}
    for name, values in rates.items():
        lower, median, upper = quartiles(values)
        results[name] = {"images_per_s": median, "quartiles": [lower, upper]}
        print(f"{name:30} {median:8.1f} img/s")
    write_result(options.out, {"machine": describe_machine(torch.device("cpu")), "results": results})


def _in_process(side: str, work: str, data: str) -> float:
    command = [sys.executable, "-m", "benchmarks.busy", "--one", side, work, data]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return float(lines[-1])


if __name__ == "__main__":
    sys.exit(main())
