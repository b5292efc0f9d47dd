"""Starting the trainer as a user does, in processes of its own, or in this one where time is short."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.refusals import refused_command
from train.__main__ import main
from train.prepare import main as prepare

_LAUNCH = [str(Path(sys.executable).with_name("accelerate")), "launch"]
_LAUNCH += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--num_processes"]
ONE = [*_LAUNCH, "1"]
TWO = [*_LAUNCH, "2", "--multi_gpu", "--main_process_port", "0"]


def tiny_command(data: Path, run_dir: Path, *overrides: str) -> list[str]:
    """The `tiny` preset on a prepared folder, without trackers."""
    sets = ["--set", f"data.path={data}", "trackers=[]", *overrides]
    return [sys.executable, "-m", "train", "--preset", "tiny", "--run-dir", str(run_dir), *sets]


def run_here(command: list[str]) -> int:
    """Run a trainer's command in this process; signals and environment are afterwards as they were."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with mock.patch.dict(os.environ):
            return main(command[3:])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def refused_run(command: list[str], *words: str) -> str:
    """Have a trainer's command refused in this process, as `refused_command` does."""
    return refused_command(main, command[3:], *words)


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


def logged(run_dir: Path) -> list[dict[str, Any]]:
    """What a run has logged, line by line."""
    return [json.loads(line) for line in (run_dir / "scalars.jsonl").read_text().splitlines()]


def weights(checkpoint: Path) -> dict[str, Tensor]:
    """Every tensor of a checkpoint, by file and name."""
    return {f"{f.name}:{key}": t for f in sorted(checkpoint.glob("*.safetensors")) for key, t in load_file(f).items()}
