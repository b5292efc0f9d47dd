"""A run on disk and on its processes: folder, configuration, log, signals."""

import json
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any, Self

import torch
from accelerate.utils import gather_object
from filelock import FileLock
from torch import Tensor
from tqdm import tqdm

from sngan_cond.hub.checkpoints import CHECKPOINTS_FOLDER
from train.config import FREE_KEYS, TrainConfig
from train.errors import TrainError
from train.files import lock, write_text_atomically
from train.presets.load import config_to_dict, config_to_yaml, load_config
from train.run.checkpoint import Checkpoint, clean_leftovers, newest_checkpoint, remove_later
from train.run.launch import AnyRankFlag, open_accelerator
from train.run.numerics import TRAINING_FILE
from train.run.provenance import commit, hardware, versions
from train.run.scalars import SCALARS_FILE, log_lines
from train.run.trackers import send_config, send_image
from train.run.watch import Watch

CONFIG_FILE = "config.yaml"
LOCK_FILE = ".lock"


class Run:
    """One training run's folder, processes and log; as a context it lets go of them.

    Args:
        folder: made if missing, continued if it holds the same configuration.
    Raises:
        TrainError: if the folder holds a run of another configuration or another process trains in it, or the
            processes cannot share the batch.
    """

    def __init__(self, config: TrainConfig, folder: Path) -> None:
        self.config = config
        self.folder, self.checkpoints = folder, folder / CHECKPOINTS_FOLDER
        self.accelerator, self.numerics = open_accelerator(config, folder)
        self.world_size = self.accelerator.num_processes
        self.is_main = self.accelerator.is_main_process
        self._lock: FileLock | None = None
        self.asked_to_stop = False
        self._stop_flag: AnyRankFlag | None = None
        self._started = time.monotonic()
        self.seconds_before = 0.0
        self.started_from: dict[str, Any] | None = None  # of `init_from`
        self.rollbacks = 0  # each of which halved both learning rates
        self.bar: tqdm[Any] = tqdm(disable=True)  # until `start`
        self.begins_again = False  # in these processes, once it is closed
        with ExitStack() as opened:
            opened.callback(self._let_go)
            self.watch = opened.enter_context(Watch(self.accelerator, longest_s=config.process_timeout))
            check_batches(config, self.world_size)
            if config.batch_norm == "synchronised" and self.accelerator.device.type == "cpu":
                raise TrainError(
                    "batch_norm=synchronised: PyTorch synchronises batch norm on GPUs only; use per_process"
                )
            self._open_folder()
            self._opened = opened.pop_all()

    @property
    def seconds(self) -> float:
        """Seconds spent in this run, over all its starts."""
        return self.seconds_before + time.monotonic() - self._started

    def print(self, line: str) -> None:
        """Print a line from the main process, above the progress bar."""
        if self.is_main:
            tqdm.write(line)

    def newest_checkpoint(self) -> Checkpoint | None:
        """Find the newest whole checkpoint, the same one in every process.

        Raises:
            TrainError: if processes see unlike ones, as on nodes that do not share the folder.
        """
        if self.is_main:
            clean_leftovers(self.checkpoints)
        self.accelerator.wait_for_everyone()
        found = newest_checkpoint(self.checkpoints, self.print)
        if self.world_size > 1:
            steps = gather_object([0 if found is None else found.step])
            if len(set(steps)) > 1:
                raise TrainError(
                    f"--run-dir {self.folder}: its newest checkpoints are of steps {steps}, process by process; a "
                    "folder that every node shares is needed"
                )
        return found

    def start(self, step: int, before: "Run | None" = None) -> None:
        """Say what the run computes in, and open log, trackers and bar at a step.

        From here on SIGTERM and SIGINT only ask for a stop. Lines that an earlier start logged beyond the step are
        dropped.

        Args:
            before: the run as these processes had it open until now, which may have been asked to stop meanwhile.
        """
        self.print(self.numerics.line())
        if self.is_main:
            self._keep_scalars(lambda line: line["step"] <= step)
        purge = {"tensorboard": {"purge_step": step + 1}} if "tensorboard" in self.config.trackers else {}
        self.accelerator.init_trackers(self.folder.resolve().name, init_kwargs=purge)
        for tracker in self.accelerator.trackers if self.is_main else ():
            send_config(tracker, _flatten(config_to_dict(self.config)))
        self.bar = tqdm(
            total=self.config.steps, initial=step, unit="step", disable=not self.is_main, dynamic_ncols=True
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self.asked_to_stop |= before is not None and before.asked_to_stop

    def log(self, step: int, images_seen: int, scalars: Mapping[str, Tensor | float]) -> dict[str, float]:
        """Write scalars, averaged over processes, to the JSON lines and the trackers; waits for the device.

        Returns:
            What was written; what came as tensors is the same in every process.
        """
        names = sorted(name for name, value in scalars.items() if isinstance(value, Tensor))
        values: dict[str, float] = {name: float(v) for name, v in scalars.items() if not isinstance(v, Tensor)}
        if names:
            stacked = torch.stack([torch.as_tensor(scalars[name]).float() for name in names])
            mean = self.accelerator.reduce(stacked, "mean")
            values |= dict(zip(names, mean.tolist(), strict=True))
        if self.is_main:
            line = {"step": step, "images_seen": images_seen, "seconds": round(self.seconds, 3), **values}
            with (self.folder / SCALARS_FILE).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        self.accelerator.log(values, step=step)
        return values

    def log_image(self, name: str, image: Tensor, *, step: int, now: int) -> None:
        """Give every tracker an image; called on the main process alone.

        Args:
            image: (3, H, W) uint8 on the CPU.
            step: that it shows.
            now: step that is logged next, not before `step`.
        """
        for tracker in self.accelerator.trackers:
            send_image(tracker, name, image.permute(1, 2, 0).numpy(), step=step, now=now)

    def show(self, step: int, images_per_second: float, d_loss: float) -> None:
        """Move the progress bar."""
        self.bar.set_postfix_str(f"{images_per_second:,.0f} img/s, D loss {d_loss:.3f}", refresh=False)
        self.bar.update(step - self.bar.n)

    def should_stop(self) -> bool:
        """Return whether every process should stop now; with several, a request takes effect a step later."""
        if self.world_size == 1:
            return self.asked_to_stop
        earlier, self._stop_flag = self._stop_flag, AnyRankFlag(self.accelerator, self.asked_to_stop)
        return earlier is not None and earlier.read()

    def training_record(self, images_seen: int, step: int) -> str:
        """Return what a model card says about the training until now."""
        facts = {
            "step": step,
            "images_seen": images_seen,
            "seconds": round(self.seconds, 1),
            "config": config_to_dict(self.config),
            **({} if self.started_from is None else {"init_from": self.started_from}),
            **({"rollbacks": self.rollbacks} if self.rollbacks else {}),
            "commit": commit(),
            "hardware": hardware(self.accelerator),
            "numerics": self.numerics.facts(),
            "versions": versions("sngan-cond", "torch", "accelerate", "safetensors", "numpy"),
        }
        return json.dumps(facts, indent=2) + "\n"

    def write_training_record(self, text: str) -> None:
        """Keep a `training_record` in the run's folder.

        Raises:
            TrainError: if the disk refuses.
        """
        path = self.folder / TRAINING_FILE
        try:
            write_text_atomically(path, text)
        except OSError as error:
            raise TrainError(f"{path}: cannot be written ({error.strerror})") from error

    def forget(self, step: int, prefixes: tuple[str, ...]) -> None:
        """Drop the log lines of a step that hold a scalar whose name begins so, to be written again."""
        if self.is_main:
            self._keep_scalars(lambda line: line["step"] != step or not any(key.startswith(prefixes) for key in line))

    def forget_after(self, step: int) -> None:
        """Remove what the folder has of later steps: checkpoints, from the newest on, grids and scores."""
        for name in (CHECKPOINTS_FOLDER, "evaluations", "samples"):
            remove_later(self.folder / name, step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self.bar.close()
        self._opened.__exit__(*error)

    def _let_go(self) -> None:
        """Close the trackers, and let others into the folder."""
        if self.begins_again:  # the processes stay together
            for tracker in self.accelerator.trackers:
                tracker.finish()
        else:
            self.accelerator.end_training()
        if self._lock is not None:
            self._lock.release()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.asked_to_stop = True
        when = "after this step" if self.world_size == 1 else "within two steps"
        self.print(f"{signal.Signals(number).name}: stopping {when}")

    def _open_folder(self) -> None:
        path = self.folder / CONFIG_FILE
        if path.exists():
            self._refuse_other_run(load_config(str(path)))
        if self.is_main:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._lock = lock(self.folder / LOCK_FILE)
                write_text_atomically(path, config_to_yaml(self.config))
            except BlockingIOError as error:
                raise TrainError(f"--run-dir {self.folder}: another process trains in it") from error
            except OSError as error:
                raise TrainError(f"--run-dir {self.folder}: cannot be written ({error.strerror})") from error
        self.accelerator.wait_for_everyone()

    def _refuse_other_run(self, config: TrainConfig) -> None:
        """Raise if the folder's configuration is another one; keys that it lacks, for they are newer, are defaults."""
        before, now = (_flatten(config_to_dict(either)) for either in (config, self.config))
        for key in sorted(before.keys() | now.keys()):  # `init_classes` has the keys that a user gave it
            was, wanted = before.get(key), now.get(key)
            if was != wanted and not {key, key.split(".")[0]} & set(FREE_KEYS):
                raise TrainError(
                    f"--run-dir {self.folder}: holds a run with {key}={was!r}, asked for is {wanted!r}; "
                    "give the same configuration to continue it, or another --run-dir"
                )

    def _keep_scalars(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        path = self.folder / SCALARS_FILE
        if path.exists():
            kept = [line for line, logged in log_lines(path) if logged is not None and wanted(logged)]
            write_text_atomically(path, "".join(f"{line}\n" for line in kept))


def check_batches(config: TrainConfig, processes: int) -> None:
    """Raise a TrainError if processes and micro-batches cannot share the images of an update equally."""
    parts = processes * config.accumulate
    for name in ("batch_total", "fakes_per_step"):
        value = getattr(config, name)
        if value % parts:
            raise TrainError(
                f"{name}={value}: a multiple of {parts} is allowed "
                f"({processes} processes x accumulate={config.accumulate})"
            )


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, bool | int | float | str) else json.dumps(value)
    return flat
