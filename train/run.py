"""A run on disk and on its processes: folder, configuration, log, signals."""

import json
import os
import platform
import signal
import subprocess
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, ProjectConfiguration
from torch import Tensor
from tqdm import tqdm

from train.checkpoint import Checkpoint, clean_leftovers, newest_checkpoint
from train.config import FREE_KEYS, TrainConfig
from train.cores import take_cores
from train.errors import TrainError
from train.presets import config_to_dict, config_to_yaml, load_config

CONFIG_FILE = "config.yaml"
SCALARS_FILE = "scalars.jsonl"
TRAINING_FILE = "training.json"
_MIXED_PRECISION = {"auto": None, "fp32": "no", "bf16": "bf16"}


class Run:
    """One training run's folder, processes and log.

    Args:
        config: what is run.
        folder: where it is kept; made if missing, continued if it holds the same configuration.
    Raises:
        TrainError: if the folder holds a run of another configuration, or the processes cannot share the batch.
    """

    def __init__(self, config: TrainConfig, folder: Path) -> None:
        self.config = config
        self.folder = folder
        self.accelerator = Accelerator(
            cpu=not torch.accelerator.is_available(),
            mixed_precision=_MIXED_PRECISION[config.precision],
            log_with=list(config.trackers) or None,
            project_config=ProjectConfiguration(project_dir=str(folder), logging_dir=str(folder / "trackers")),
            # Running statistics belong to each process and u is the same in all, so nothing is broadcast.
            kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
        )
        take_cores(self.accelerator.device)
        if self.accelerator.mixed_precision == "fp16":
            raise TrainError("mixed precision fp16: one loss scale cannot serve two networks; use bf16 or no")
        self.world_size = self.accelerator.num_processes
        self.is_main = self.accelerator.is_main_process
        self._check_batches()
        self._open_folder()
        self._asked_to_stop = False
        self._started = time.monotonic()
        self.seconds_before = 0.0
        self.bar: tqdm[Any] | None = None

    @property
    def checkpoints(self) -> Path:
        """Folder of all checkpoints."""
        return self.folder / "checkpoints"

    @property
    def seconds(self) -> float:
        """Seconds spent in this run, over all its starts."""
        return self.seconds_before + time.monotonic() - self._started

    def say(self, line: str) -> None:
        """Print a line from the main process, above the progress bar."""
        if self.is_main:
            tqdm.write(line)

    def newest_checkpoint(self) -> Checkpoint | None:
        """Find the newest whole checkpoint; every process gets the same one."""
        if self.is_main:
            clean_leftovers(self.checkpoints)
        self.accelerator.wait_for_everyone()
        return newest_checkpoint(self.checkpoints, self.say)

    def start(self, step: int) -> None:
        """Open log, trackers and bar at a step; lines that an earlier start wrote beyond it are dropped."""
        if self.is_main:
            self._truncate_scalars(step)
        purge = {"tensorboard": {"purge_step": step}} if "tensorboard" in self.config.trackers else {}
        flat = _flatten(config_to_dict(self.config))
        self.accelerator.init_trackers(self.folder.resolve().name, config=flat, init_kwargs=purge)
        self.bar = tqdm(
            total=self.config.steps, initial=step, unit="step", disable=not self.is_main, dynamic_ncols=True
        )

    def log(self, step: int, images_seen: int, scalars: Mapping[str, Tensor | float]) -> None:
        """Write scalars, averaged over processes, to the JSON lines and the trackers; waits for the device."""
        names = sorted(name for name, value in scalars.items() if isinstance(value, Tensor))
        values: dict[str, float] = {name: float(v) for name, v in scalars.items() if not isinstance(v, Tensor)}
        if names:
            stacked = torch.stack([torch.as_tensor(scalars[name]).float() for name in names])
            mean = self.accelerator.reduce(stacked, "mean")
            values |= dict(zip(names, mean.tolist(), strict=True))
        if self.is_main:
            line = {"step": step, "images_seen": images_seen, "seconds": round(self.seconds, 3), **values}
            with (self.folder / SCALARS_FILE).open("a") as file:
                file.write(json.dumps(line) + "\n")
        self.accelerator.log(values, step=step)

    def show(self, step: int, images_per_second: float, d_loss: float) -> None:
        """Move the progress bar."""
        if self.bar is not None:
            self.bar.set_postfix_str(f"{images_per_second:,.0f} img/s, D loss {d_loss:.3f}", refresh=False)
            self.bar.update(step - self.bar.n)

    def catch_signals(self) -> None:
        """From here on SIGTERM and SIGINT only ask for a stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def should_stop(self, step: int) -> bool:
        """Return whether every process should stop now.

        Several processes agree when they log, the one moment at which they wait for each other anyway.
        """
        if self.world_size == 1:
            return self._asked_to_stop
        if step % self.config.log_every:
            return False
        asked = torch.tensor(float(self._asked_to_stop), device=self.accelerator.device)
        return bool(self.accelerator.reduce(asked, "sum") > 0)

    def write_training_facts(self, images_seen: int, step: int) -> str:
        """Write what a model card says about the training; returns the text."""
        facts = {
            "step": step,
            "images_seen": images_seen,
            "seconds": round(self.seconds, 1),
            "config": config_to_dict(self.config),
            "commit": _commit(),
            "hardware": _hardware(self.accelerator),
            "versions": {"python": platform.python_version(), **_versions()},
        }
        text = json.dumps(facts, indent=2) + "\n"
        write_text_atomically(self.folder / TRAINING_FILE, text)
        return text

    def close(self) -> None:
        """Close bar and trackers."""
        if self.bar is not None:
            self.bar.close()
        self.accelerator.end_training()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._asked_to_stop = True
        self.say(f"{signal.Signals(number).name}: stopping after this step")

    def _check_batches(self) -> None:
        parts = self.world_size * self.config.accumulate
        for name in ("batch_total", "fakes_per_step"):
            value = getattr(self.config, name)
            if value % parts:
                raise TrainError(
                    f"{name}={value}: a multiple of {parts} is allowed "
                    f"({self.world_size} processes x accumulate={self.config.accumulate})"
                )
        if self.config.batch_norm == "synchronised" and self.accelerator.device.type == "cpu":
            raise TrainError("batch_norm=synchronised: PyTorch synchronises batch norm on GPUs only; use per_process")

    def _open_folder(self) -> None:
        path = self.folder / CONFIG_FILE
        if path.exists():
            # Keys that came after the run began stand at their defaults.
            before = config_to_dict(load_config(str(path)))
            _refuse_other_run(self.folder, before, config_to_dict(self.config))
        if self.is_main:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                write_text_atomically(path, config_to_yaml(self.config))
            except OSError as error:
                raise TrainError(f"--run-dir {self.folder}: cannot be written ({error.strerror})") from error
        self.accelerator.wait_for_everyone()

    def _truncate_scalars(self, step: int) -> None:
        path = self.folder / SCALARS_FILE
        if not path.exists():
            return
        kept = []
        for line in path.read_text().splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line)
            except (json.JSONDecodeError, KeyError, TypeError):
                continue  # the last line of a killed process may be cut
        write_text_atomically(path, "".join(f"{line}\n" for line in kept))


def write_text_atomically(path: Path, text: str) -> None:
    """Write a text file so that readers see the old or the new one.

    Args:
        path: where.
        text: what.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text)
    beside.replace(path)


def _refuse_other_run(folder: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    before, now = _flatten(old), _flatten(new)
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key) and key.split(".")[0] not in FREE_KEYS:
            raise TrainError(
                f"--run-dir {folder}: holds a run with {key}={before.get(key)!r}, asked for is {now.get(key)!r}; "
                "give the same configuration to continue it, or another --run-dir"
            )


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, bool | int | float | str) else json.dumps(value)
    return flat


def _versions() -> dict[str, str]:
    found = {}
    for package in ("sngan-cond", "torch", "accelerate", "safetensors", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _commit() -> str | None:
    root = Path(__file__).parent.parent
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def _hardware(accelerator: Accelerator) -> dict[str, Any]:
    device = accelerator.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "device": device.type,
        "name": name,
        "processes": accelerator.num_processes,
        "threads": torch.get_num_threads(),
        "mixed_precision": accelerator.mixed_precision,
    }
