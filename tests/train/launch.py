"""Starting the trainer as a user does, in processes of its own, or in this one where time is short."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import torch
from safetensors.torch import load_file
from torch import Tensor

from train.__main__ import main
from train.prepare import main as prepare

ROOT = Path(__file__).parents[2]


TWO = [
    str(Path(sys.executable).with_name("accelerate")),
    "launch",
    *(
        "--multi_gpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
        "--mixed_precision",
        "no",
        "--dynamo_backend",
        "no",
    ),
    *("--main_process_port", "0"),
]


def tiny_command(data: Path, run_dir: Path, *overrides: str) -> list[str]:
    """The `tiny` preset on a prepared folder, without trackers."""
    sets = ["--set", f"data.path={data}", "trackers=[]", *overrides]
    return [sys.executable, "-m", "train", "--preset", "tiny", "--run-dir", str(run_dir), *sets]


def environment(**extra: str) -> dict[str, str]:
    """This process's environment with one thread, so that runs can be compared bit for bit."""
    return {**os.environ, "OMP_NUM_THREADS": "1", **extra}


def run(command: list[str], **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a command from the project's root to its end."""
    return subprocess.run(
        command, cwd=ROOT, env=environment(**extra), capture_output=True, text=True, timeout=240, check=False
    )


def run_here(command: list[str]) -> int:
    """Run a trainer's command in this process; signals and environment are afterwards as they were."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with mock.patch.dict(os.environ):
            return main(command[3:])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def float64_on_the_cpu() -> Iterator[None]:
    """Have runs of this process compute so, whose rounding flips no ReLU on one processor and not on another."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with mock.patch.object(torch.accelerator, "is_available", return_value=False):  # a GPU draws other numbers
            yield
    finally:
        torch.set_default_dtype(before)


def prepare_tiny(folder: Path) -> Path:
    """Prepare 200 shapes at 32 px."""
    assert prepare(["--source", "shapes", "--resolution", "32", "--limit", "200", "--out", str(folder)]) == 0
    return folder


def weights(checkpoint: Path) -> dict[str, Tensor]:
    """Every tensor of a checkpoint, by file and name."""
    return {f"{f.name}:{key}": t for f in sorted(checkpoint.glob("*.safetensors")) for key, t in load_file(f).items()}
