"""The project's own commands, run by a stage as a user runs them; what they print is the stage's log."""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from benchmarks.machine import ROOT


def run_logged(module: str, *words: object) -> None:
    """Run `python -m module words...` to its end.

    Raises:
        CalledProcessError: if it fails.
    """
    subprocess.run([sys.executable, "-m", module, *map(str, words)], cwd=ROOT, check=True)


def train_words(
    preset: str, run_dir: Path, settings: Mapping[str, object], overrides: Iterable[str] = ()
) -> list[object]:
    """Return the words of a training run: preset, folder and what is set."""
    return ["--preset", preset, "--run-dir", run_dir, "--set", *overrides, *(f"{k}={v}" for k, v in settings.items())]


def run_until(module: str, *words: object, seconds: float) -> bool:
    """Run `accelerate launch -m module words...` and, when the seconds are over, ask it to finish its step and stop.

    Returns:
        Whether it came to its own end.
    Raises:
        CalledProcessError: if it fails.
    """
    launcher = ["-m", "accelerate.commands.launch", "--num_processes", "1", "--num_machines", "1"]
    launcher += ["--mixed_precision", "no", "--dynamo_backend", "no"]
    line = [sys.executable, *launcher, "-m", module, *map(str, words)]
    with subprocess.Popen(line, cwd=ROOT) as process:
        try:
            status, ended = process.wait(timeout=seconds), True
        except subprocess.TimeoutExpired:
            # Not the launcher, which would go first and leave the run to be killed while it saves.
            for trainer in psutil.Process(process.pid).children():
                trainer.terminate()
            status, ended = process.wait(), False
    if status:
        raise subprocess.CalledProcessError(status, line)
    return ended
