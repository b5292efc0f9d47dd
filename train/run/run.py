"""A run on disk and on its processes: folder, configuration, log, signals."""

import json
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType
from typing import Any, Self, TypeVar

import torch
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor
from tqdm import tqdm

from sngan_cond.hub.checkpoints import CHECKPOINTS_FOLDER, saved_steps
from train.config import TrainConfig
from train.errors import TrainError
from train.files import Dispensable, write_text_atomically
from train.presets.load import config_to_dict, config_to_yaml, load_config
from train.run.agreement import check_batches, check_device, flat, refuse_other_run
from train.run.checkpoint import Checkpoint, remove_later, whole_checkpoints
from train.run.launch import AnyRankFlag, open_accelerator
from train.run.lock import FolderLock
from train.run.logs import Logs
from train.run.lost import clean_up, move_aside, traces
from train.run.numerics import TRAINING_FILE
from train.run.provenance import commit, hardware, versions
from train.run.watch import STATUS, Watch

T = TypeVar("T")

CONFIG_FILE = "config.yaml"
LOCK_FILE = ".lock"


class Run:
    """One training run's folder, processes and log; as a context it lets go of them.

    Args:
        folder: made if missing, continued if it holds the same configuration.
        start_anew: whether a run that has lost its checkpoints begins again, beside what is left of it.
    Raises:
        TrainError: if the folder holds a run of another configuration or another process trains in it, or the
            processes cannot share the batch.
    """

    def __init__(self, config: TrainConfig, folder: Path, *, start_anew: bool = False) -> None:
        self.config, self.start_anew = config, start_anew
        self.folder, self.checkpoints = folder, folder / CHECKPOINTS_FOLDER
        self.accelerator, self.numerics = open_accelerator(config, folder)
        self.world_size = self.accelerator.num_processes
        self.is_main = self.accelerator.is_main_process
        self._lock = FolderLock(folder / LOCK_FILE)
        self.damaged: set[int] = set()  # steps of checkpoints that were found so
        self.asked_to_stop = False
        self._stop_flag: AnyRankFlag | None = None
        self._started = time.monotonic()
        self.seconds_before = 0.0
        self.started_from: dict[str, Any] | None = None  # of `init_from`
        self.rollbacks = 0  # each of which halved both learning rates
        self.bar: tqdm[Any] = tqdm(disable=True)  # until `start`
        self.begins_again = False  # in these processes, once it is closed
        self.dispensable = Dispensable(self.print)
        self.logs = Logs(self.accelerator, folder, self.dispensable)
        with ExitStack() as opened:
            opened.callback(self._let_go)
            self.watch = opened.enter_context(Watch(self.accelerator, longest_s=config.process_timeout))
            check_batches(config, self.world_size)
            check_device(config, self.accelerator.device)
            self.config_before = self._open_folder()
            self._opened = opened.pop_all()

    @property
    def seconds(self) -> float:
        """Seconds spent in this run, over all its starts."""
        return self.seconds_before + time.monotonic() - self._started

    def print(self, line: str) -> None:
        """Print a line from the main process, above the progress bar; where it cannot be printed, it is lost."""
        if self.is_main:
            with suppress(OSError):  # a closed pipe, or a file on a full disk
                tqdm.write(line)

    def from_main(self, value: T) -> T:
        """Return the main process's value in every process, however long it takes to come to it."""
        self.watch.meet()
        return value if self.world_size == 1 else broadcast_object_list([value])[0]

    def on_main(self, act: Callable[[], object]) -> None:
        """Have the main process do what only it may, and wait for it.

        Raises:
            TrainError: as `end_if` does, if it cannot be done.
        """
        problem: str | None = None
        if self.is_main:
            try:
                act()
            except TrainError as error:
                problem = str(error)
            except OSError as error:
                problem = f"--run-dir {self.folder}: cannot be written ({error.strerror})"
        self.end_if(self.from_main(problem))

    def end_if(self, problem: str | None) -> None:
        """End every process if all know of a problem: by a TrainError in the main one, and silently elsewhere."""
        if problem is not None:
            raise TrainError(problem) if self.is_main else SystemExit(STATUS)

    def newest_checkpoint(self, check: Callable[[Checkpoint], None]) -> Checkpoint | None:
        """Find the newest whole checkpoint, the same one in every process; nothing is changed.

        Args:
            check: as for `whole_checkpoints`.
        Raises:
            TrainError: if processes see unlike ones, they cannot be read now, or none is whole of a run that had some.
        """
        found, problem = None, None
        try:
            found = next(whole_checkpoints(self.checkpoints, self.print, check=check), None)
        except TrainError as error:
            problem = str(error)
        self.watch.meet()  # not all read equally fast
        if self.world_size > 1:
            seen = gather_object([(0 if found is None else found.step, problem)])
            problem = next((told for _, told in seen if told), None)
            steps = [step for step, _ in seen]
            if problem is None and len(set(steps)) > 1:
                problem = (
                    f"--run-dir {self.folder}: its newest checkpoints are of steps {steps}, process by process; a "
                    "folder that every node shares is needed"
                )
        self.end_if(problem)
        if found is None:
            self._begin_anew()
        else:
            self.damaged = {step for step in saved_steps(self.checkpoints) if step > found.step}
        return found

    def _begin_anew(self) -> None:
        lost = traces(self.folder, self.config_before)
        if lost and not self.start_anew:
            raise TrainError(
                f"--run-dir {self.folder}: the run has no whole checkpoint ({'; '.join(lost)}). Nothing was changed. "
                "Bring one back, or begin at step 0 with --start-anew, which keeps what is left in a folder of its own"
            )
        if lost:
            self.accelerator.wait_for_everyone()  # all have looked
            said = "beginning anew; what was left of the run is in"
            self.on_main(lambda: self.print(f"{said} {move_aside(self.folder, keep=LOCK_FILE)}"))

    def start(self, step: int, before: "Run | None" = None) -> None:
        """Say what the run computes in, and open log, trackers and bar at a step.

        From here on SIGTERM and SIGINT only ask for a stop. Lines that an earlier start logged beyond the step are
        dropped.

        Args:
            before: the run as these processes had it open until now, which may have been asked to stop meanwhile.
        """
        self.print(self.numerics.line())
        self.on_main(lambda: self._prepare_folder(step))
        self.accelerator.init_trackers(self.folder.resolve().name)
        if self.is_main:
            self.logs.begin(step, flat(config_to_dict(self.config)))
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
            self.logs.add(line, values)
        return values

    def show(self, step: int, images_per_second: float, d_loss: float) -> None:
        """Move the progress bar."""
        self.bar.set_postfix_str(f"{images_per_second:,.0f} img/s, D loss {d_loss:.3f}", refresh=False)
        with suppress(OSError):  # as of a line
            self.bar.update(step - self.bar.n)

    def should_stop(self) -> bool:
        """Return whether every process should stop now; with several, a request takes effect a step later."""
        if self.world_size == 1:
            return self.asked_to_stop
        earlier, self._stop_flag = self._stop_flag, AnyRankFlag(self.accelerator, self.asked_to_stop)
        return earlier is not None and earlier.read()

    def training_record(self, images_seen: int, step: int, *, data: Mapping[str, Any]) -> str:
        """Return what a model card says about the training until now, on these data."""
        facts = {
            "step": step,
            "images_seen": images_seen,
            "seconds": round(self.seconds, 1),
            "config": config_to_dict(self.config),
            "data": data,
            **({} if self.started_from is None else {"init_from": self.started_from}),
            **({"rollbacks": self.rollbacks} if self.rollbacks else {}),
            "commit": commit(),
            "hardware": hardware(self.accelerator),
            "numerics": self.numerics.facts(),
            "versions": versions("sngan-cond", "torch", "accelerate", "safetensors", "numpy"),
        }
        return json.dumps(facts, indent=2) + "\n"

    def write_training_record(self, text: str) -> None:
        """Keep a `training_record` in the run's folder; for a run that once had a checkpoint, if the disk takes it."""
        with self.dispensable.trying(self.folder / TRAINING_FILE):
            write_text_atomically(self.folder / TRAINING_FILE, text)

    def mend_folder(self, step: int) -> None:
        """Make the run's folder again if somebody removed it; called on the main process alone.

        Raises:
            TrainError: if another process trains in it meanwhile.
        """
        if self._lock.is_held():
            return
        with self.dispensable.trying(self.folder):
            self._lock_folder()
            self.print(f"warning: {self.folder}: was removed; it is made again, without what it held")
            self._write_config()
            self.logs.begin(step, flat(config_to_dict(self.config)))

    def forget(self, step: int, prefixes: tuple[str, ...]) -> None:
        """Drop the log lines of a step that hold a scalar whose name begins so, to be written again."""
        self.on_main(lambda: self.logs.forget(step, prefixes))

    def forget_after(self, step: int) -> None:
        """Remove, on the main process, what the folder has of later steps: checkpoints, newest first, grids, scores."""
        if not step:  # or else what is left would tell of lost checkpoints, after a kill
            (self.folder / TRAINING_FILE).unlink(missing_ok=True)
            self.logs.keep(lambda line: line["step"] <= step)
        for name in (CHECKPOINTS_FOLDER, "evaluations", "samples"):
            remove_later(self.folder / name, step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        with suppress(OSError):
            self.bar.close()
        self._opened.__exit__(*error)

    def _let_go(self) -> None:
        """Close the trackers, and let others into the folder."""
        if self.is_main:
            self.logs.close()
        self.accelerator.trackers.clear()
        if not self.begins_again:  # else the processes stay together
            self.accelerator.end_training()
        self._lock.release()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.asked_to_stop = True
        when = "after this step" if self.world_size == 1 else "within two steps"
        self.print(f"{signal.Signals(number).name}: stopping {when}")

    def _open_folder(self) -> TrainConfig:
        """Take the folder, and return the configuration that its run had."""
        path, config = self.folder / CONFIG_FILE, self.config
        if path.exists():
            config = load_config(str(path))
            refuse_other_run(self.folder, config, self.config)
        self.on_main(self._lock_folder)
        return config

    def _lock_folder(self) -> None:
        try:
            self._lock.take()
        except BlockingIOError as error:
            raise TrainError(f"--run-dir {self.folder}: another process trains in it") from error

    def _prepare_folder(self, step: int) -> None:
        """Write the configuration, and remove what killed processes and later steps have left."""
        self._write_config()
        clean_up(self.folder)
        self.logs.keep(lambda line: line["step"] <= step)

    def _write_config(self) -> None:
        write_text_atomically(self.folder / CONFIG_FILE, config_to_yaml(self.config))
