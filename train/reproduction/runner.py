"""Training and measuring runs of rows, each in a folder of its own, so that a finished run is never made again."""

import json
import os
import signal
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from train.config import TrainConfig
from train.data.info import INFO_NAME, DatasetInfo
from train.errors import TrainError
from train.files import write_text_atomically
from train.prepare import main as prepare
from train.presets.load import config_to_dict
from train.presets.tables import Row, Table
from train.processes import end_with_parent
from train.reproduction.budget import SMOKE_DATA_IMAGES, Budget, row_config
from train.reproduction.measures import Scoring, measure
from train.trainer.loop import train

RESULT_FILE = "result.json"
SMOKE_DATA = "smoke-data"


@dataclass(frozen=True, kw_only=True)
class Task:
    """One run of one row.

    Args:
        row: one with a preset, of `table`.
        folder: holds all runs.
    """

    table: Table
    row: Row
    seed: int
    budget: Budget
    scoring: Scoring
    folder: Path

    @property
    def run_dir(self) -> Path:
        """Folder of this run."""
        return self.folder / self.table.preset(self.row) / f"seed-{self.seed}{self.budget.suffix}"

    @property
    def config(self) -> TrainConfig:
        """What is trained."""
        smoke_data = self.folder / SMOKE_DATA
        return row_config(self.table, self.row, self.budget, seed=self.seed, smoke_data=smoke_data)

    def request(self, config: TrainConfig) -> dict[str, Any]:
        """Return what the result depends on: a result made for another request does not count."""
        data = Path(config.data.path) / INFO_NAME
        images = DatasetInfo.read(data).sha256 if data.is_file() else None
        return {"config": config_to_dict(config), "scoring": asdict(self.scoring), "data_sha256": images}


def run_task(task: Task) -> dict[str, Any]:
    """Train and measure a run, or read the result of an earlier call.

    Returns:
        {"seed", "request", "steps", "measured": metric to numbers, "reasons": metric or "run" to why there is none}.
        A run that was asked to stop has "stopped".
    """
    try:
        config = task.config
        request = task.request(config)
    except TrainError as error:
        return _failed(task, {}, error)
    path = task.run_dir / RESULT_FILE
    if path.is_file():
        found: dict[str, Any] = json.loads(path.read_text())
        if found["request"] == request and not found["reasons"]:  # what failed is tried again
            return found
    # `train` takes these signals for itself, to finish a step and save; between runs they should end the command.
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        steps = train(config, task.run_dir)
    except TrainError as error:
        return _failed(task, request, error)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if steps < config.steps:
        return {**_failed(task, request, TrainError("stopped")), "stopped": True}
    metrics = [metric for metric in task.table.metrics if metric in task.row.reported]
    measured, reasons = measure(task.run_dir, config, metrics, protocol=task.table.paper.protocol, scoring=task.scoring)
    result = {
        "seed": task.seed,
        "request": request,
        "steps": steps,
        "measured": {metric: [asdict(number) for number in numbers] for metric, numbers in measured.items()},
        "reasons": reasons,
    }
    write_text_atomically(path, json.dumps(result, indent=2) + "\n")
    return result


def _failed(task: Task, request: dict[str, Any], error: TrainError) -> dict[str, Any]:
    return {"seed": task.seed, "request": request, "steps": 0, "measured": {}, "reasons": {"run": str(error)}}


def run_tasks(tasks: list[Task], *, jobs: int, log: Callable[[str], None]) -> Iterator[tuple[Task, dict[str, Any]]]:
    """Run tasks one after another, or several at a time.

    Args:
        tasks: in the order wanted.
        jobs: tasks at the same time, each in its own process; 1 runs them in this one.
        log: gets a line for every finished task.
    Yields:
        Each task with its result, as it is finished; nothing after a request to stop.
    """
    smoke = [task for task in tasks if task.budget.name == "smoke"]
    if smoke:
        draw_smoke_data(smoke[0].folder / SMOKE_DATA, {task.config.resolution for task in smoke})
    with closing(_one_by_one(tasks) if jobs == 1 else _in_processes(tasks, jobs)) as finished:
        for number, (task, result) in enumerate(finished, start=1):
            reasons = "; ".join(dict.fromkeys(result["reasons"].values()))
            log(f"[{number}/{len(tasks)}] {task.table.preset(task.row)} seed {task.seed}: {reasons or 'done'}")
            yield task, result
            if result.get("stopped"):
                return


def _one_by_one(tasks: list[Task]) -> Generator[tuple[Task, dict[str, Any]], None, None]:
    for task in tasks:
        yield task, run_task(task)


def _in_processes(tasks: list[Task], jobs: int) -> Generator[tuple[Task, dict[str, Any]], None, None]:
    threads = max(1, (os.cpu_count() or 1) // jobs)
    # A forked child would inherit OpenMP's and CUDA's state without their threads, and hang.
    spawn = get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_start_worker, initargs=(threads,)) as pool:
        futures = {pool.submit(run_task, task): task for task in tasks}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise TrainError("a worker process ended, perhaps for want of memory; the same command goes on") from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # runs in progress save and end; queued ones never start


def _start_worker(threads: int) -> None:
    torch.set_num_threads(threads)
    end_with_parent()  # a run may be cut off at any instant and resumes at the next start


def draw_smoke_data(folder: Path, sides: set[int]) -> None:
    """Draw the shapes that smoke tests run on, unless they are there already.

    Args:
        folder: gets a prepared data set for each side, named by it.
        sides: of the images, in pixels.
    Raises:
        TrainError: if one cannot be made.
    """
    for side in sorted(sides):
        arguments = ["--source", "shapes", "--resolution", str(side), "--limit", str(SMOKE_DATA_IMAGES)]
        done = (folder / str(side) / INFO_NAME).is_file()
        if not done and prepare([*arguments, "--out", str(folder / str(side))]):
            raise TrainError(f"{folder / str(side)}: the drawn data set of the smoke test cannot be made")
