"""Training and measuring runs of rows, each in a folder of its own, so that a finished run is never made again."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from train.data.info import INFO_NAME
from train.errors import TrainError
from train.files import write_text_atomically
from train.prepare import main as prepare
from train.presets.load import load_config
from train.processes import end_with_parent
from train.reproduction.measures import measure
from train.reproduction.results import STOPPED, Result
from train.reproduction.task import SMOKE_DATA, SMOKE_DATA_IMAGES, Task
from train.run.agreement import refuse_other_run
from train.run.run import CONFIG_FILE
from train.stored import read_as
from train.trainer.loop import train

RESULT_FILE = "result.json"


def run_task(task: Task) -> Result:
    """Train and measure a run, or read the result of an earlier call; what failed there is tried again.

    A failure replaces no numbers that were measured for another request.
    """
    request: dict[str, Any] = {}
    earlier = _earlier_result(task.run_dir / RESULT_FILE)
    try:
        request = task.request()
        if earlier is not None and earlier.request == request and not earlier.reasons:
            return earlier
        steps = 0 if task.row.real else _trained(task)
        measured, reasons = measure(task)
        result = Result(seed=task.seed, request=request, steps=steps, measured=measured, reasons=reasons)
    except TrainError as error:
        result = Result(seed=task.seed, request=request, measured={}, reasons={"run": str(error)})
    replaces = "run" not in result.reasons or earlier is None or not earlier.measured or earlier.request == request
    if not result.is_stopped and replaces:
        write_text_atomically(task.run_dir / RESULT_FILE, json.dumps(asdict(result), indent=2) + "\n")
    return result


def result_of(task: Task) -> Result | None:
    """Return the result of a run that is there already, None where it was made for another request."""
    try:
        request = task.request()
    except TrainError:
        request = {}  # as `run_task` has it then
    result = _earlier_result(task.run_dir / RESULT_FILE)
    return result if result is not None and result.request == request else None


def refuse_another(task: Task) -> None:
    """Raise a TrainError if the folder of a run holds one of another configuration, as its trainer does."""
    path = task.run_dir / CONFIG_FILE
    if path.is_file():
        refuse_other_run(task.run_dir, load_config(str(path)), task.config)


def _earlier_result(path: Path) -> Result | None:
    if not path.is_file():
        return None
    try:
        return read_as(Result, path)
    except TrainError as error:
        print(f"warning: {error}; the run is measured again", file=sys.stderr)
        return None


def _trained(task: Task) -> int:
    """Train to the end; returns the number of steps."""
    # `train` takes these signals for itself, to finish a step and save; between runs they should end the command.
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        steps = train(task.config, task.run_dir).step
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if steps < task.config.steps:
        raise TrainError(STOPPED)
    return steps


def run_tasks(tasks: list[Task], *, jobs: int, log: Callable[[str], None]) -> Iterator[tuple[Task, Result]]:
    """Run tasks one after another, or several at a time.

    Args:
        jobs: tasks at the same time, each in its own process; 1 runs them in this one.
        log: gets a line for every finished task.
    Yields:
        Each task with its result, as it is finished; nothing after a request to stop.
    """
    smoke = [task for task in tasks if task.budget.name == "smoke"]
    if smoke:
        folder = smoke[0].folder / SMOKE_DATA
        draw_smoke_data(folder, {task.resolution for task in smoke})
        unseen = {task.resolution for task in smoke if "validation" in task.needs}
        draw_smoke_data(folder, unseen, suffix="-test", seed=1)
    with _finished(tasks, jobs) as finished:
        for number, (task, result) in enumerate(finished, start=1):
            reasons = "; ".join(dict.fromkeys(result.reasons.values()))
            log(f"[{number}/{len(tasks)}] {task.preset} seed {task.seed}: {reasons or 'done'}")
            yield task, result
            if result.is_stopped:
                return


@contextmanager
def _finished(tasks: list[Task], jobs: int) -> Iterator[Iterator[tuple[Task, Result]]]:
    """Give the tasks with their results as these come, from this process or a pool."""
    if jobs == 1:
        yield zip(tasks, map(run_task, tasks), strict=True)
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    # A forked child would inherit OpenMP's and CUDA's state without their threads, and hang.
    spawn = get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_start_worker, initargs=(threads,)) as pool:
        futures = {pool.submit(run_task, task): task for task in tasks}
        try:
            yield ((futures[future], future.result()) for future in as_completed(futures))
        except BrokenProcessPool as error:
            raise TrainError("a worker process ended, perhaps for want of memory; the same command goes on") from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # runs in progress save and end; queued ones never start


def _start_worker(threads: int) -> None:
    torch.set_num_threads(threads)
    end_with_parent()  # a run may be cut off at any instant and resumes at the next start


def draw_smoke_data(folder: Path, sides: set[int], *, suffix: str = "", seed: int = 0) -> None:
    """Draw the shapes that smoke tests run on, unless they are there already: a data set for each side in pixels.

    Args:
        suffix: end of the names of their folders.
        seed: another one draws other shapes.
    Raises:
        TrainError: if one cannot be made.
    """
    for side in sorted(sides):
        out = folder / f"{side}{suffix}"
        arguments = ["--source", "shapes", "--resolution", side, "--limit", SMOKE_DATA_IMAGES, "--out", out]
        arguments += ["--seed", seed, "--workers", 1]  # 40 images are drawn before a second process has started
        if not (out / INFO_NAME).is_file() and prepare([str(argument) for argument in arguments]):
            raise TrainError(f"{out}: the drawn data set of the smoke test cannot be made")
