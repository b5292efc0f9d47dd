"""Training and measuring the runs of a row, each in a folder of its own, so that what is done is never done again."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import torch

from train.config import TrainConfig
from train.data.info import INFO_NAME, DatasetInfo
from train.errors import TrainError
from train.prepare import main as prepare
from train.presets.load import config_to_dict
from train.presets.tables import Row, Table
from train.reproduction.budget import SMOKE_DATA_IMAGES, Budget, row_config
from train.reproduction.measures import Scoring, measure
from train.run.run import write_text_atomically
from train.trainer.loop import train

RESULT_FILE = "result.json"
SMOKE_DATA = "smoke-data"


@dataclass(frozen=True, kw_only=True)
class Task:
    """One run of one row.

    Args:
        table: of the row.
        row: with a preset.
        seed: of the run.
        budget: what is spent.
        scoring: how it is scored.
        folder: of all runs.
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
        """Return what the result depends on."""
        data = Path(config.data.path) / INFO_NAME
        images = DatasetInfo.read(data).sha256 if data.is_file() else None
        return {"config": config_to_dict(config), "scoring": asdict(self.scoring), "data_sha256": images}


def run_task(task: Task) -> dict[str, Any]:
    """Train and measure a run, or read what an earlier call found.

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
        if found["request"] == request and not found["reasons"]:
            return found
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
    measured, reasons = measure(task.run_dir, config, metrics, protocol=task.table.protocol, scoring=task.scoring)
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


def run_tasks(tasks: list[Task], *, jobs: int, say: Callable[[str], None]) -> Iterator[tuple[Task, dict[str, Any]]]:
    """Run tasks one after another, or dealt out to processes.

    Args:
        tasks: in the order wanted.
        jobs: processes; 1 runs everything in this one.
        say: told of every finished task.
    Yields:
        Each task with its result, as it is finished; nothing after a request to stop.
    """
    smoke = [task for task in tasks if task.budget.name == "smoke"]
    if smoke:
        draw_smoke_data(smoke[0].folder / SMOKE_DATA, {task.config.resolution for task in smoke})
    if jobs == 1:
        for number, task in enumerate(tasks, start=1):
            result = run_task(task)
            say(_line(number, len(tasks), task, result))
            yield task, result
            if result.get("stopped"):
                return
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(threads,)
    ) as pool:
        futures = {pool.submit(run_task, task): task for task in tasks}
        try:
            for number, future in enumerate(as_completed(futures), start=1):
                task, result = futures[future], future.result()
                say(_line(number, len(tasks), task, result))
                yield task, result
                if result.get("stopped"):
                    return
        except BrokenProcessPool as error:
            raise TrainError("a worker process ended, perhaps for want of memory; the same command goes on") from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # what runs saves and ends, what is queued does not begin


def _start_worker(threads: int) -> None:
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Let no worker outlive a killed command; a run can end at any instant and goes on at the next start."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _line(number: int, count: int, task: Task, result: dict[str, Any]) -> str:
    reasons = "; ".join(dict.fromkeys(result["reasons"].values()))
    return f"[{number}/{count}] {task.table.preset(task.row)} seed {task.seed}: {reasons or 'done'}"


def draw_smoke_data(folder: Path, sides: set[int]) -> None:
    """Draw the shapes that smoke tests run on, where they are not there yet.

    Args:
        folder: gets a prepared data set for each side, named by it.
        sides: of the images in pixels.
    Raises:
        TrainError: if one cannot be made.
    """
    for side in sorted(sides):
        arguments = ["--source", "shapes", "--resolution", str(side), "--limit", str(SMOKE_DATA_IMAGES)]
        done = (folder / str(side) / "dataset.json").is_file()
        if not done and prepare([*arguments, "--out", str(folder / str(side))]):
            raise TrainError(f"{folder / str(side)}: the drawn data set of the smoke test cannot be made")
