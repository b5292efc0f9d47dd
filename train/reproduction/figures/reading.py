"""What the figures read of their runs: results and kept checkpoints; and where a panel has none."""

import math
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from sngan_cond import Discriminator
from sngan_cond.hub.checkpoints import CHECKPOINTS_FOLDER
from train.analysis.measure import NotFiniteError, check_finite, load_discriminator
from train.errors import TrainError
from train.reproduction.measures import Measured
from train.reproduction.results import LOWEST_IS_BEST
from train.reproduction.runner import refuse_another, result_of
from train.reproduction.task import Task
from train.run.checkpoint import Checkpoint, whole_checkpoints

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REASON_LETTERS = 42
Spread = Literal["error", "deviation"]
SPREADS = {"error": "standard error", "deviation": "standard deviation"}


def final_score(task: Task, metric: str) -> Measured:
    """Return what a run was measured at its end.

    Raises:
        TrainError: with the reason where there is no number.
    """
    result = result_of(task)
    if result is None:
        refuse_another(task)
        raise TrainError(f"{task.preset} seed {task.seed}: no result")
    if found := result.measured.get(metric):
        return found[0]
    reason = result.reasons.get(metric) or result.reasons.get("run") or f"its table does not report {metric}"
    raise TrainError(f"{task.preset} seed {task.seed}: {reason}")


def failures(tasks: Iterable[Task]) -> list[str]:
    """Say of which runs only the beginning is there, and why."""
    results = [(task, result_of(task)) for task in tasks]
    return [
        f"{task.preset} seed {task.seed}: as far as it came: {result.reasons['run']}"
        for task, result in results
        if result is not None and "run" in result.reasons
    ]


def best_task(tasks: Sequence[Task], metric: str) -> tuple[Task, Measured]:
    """Return the run with the best score at its end, and the score.

    Raises:
        TrainError: if none of them has one.
    """
    scored, reasons = split([(task, metric) for task in tasks], final_score)
    if not scored:
        raise TrainError(joined(reasons))
    sign = -1 if metric in LOWEST_IS_BEST else 1
    (task, _), score = max(scored, key=lambda pair: sign * pair[1].value)
    return task, score


def split(arguments: Sequence[Any], function: Any) -> tuple[list[tuple[Any, Any]], list[str]]:
    """Call a function for each tuple of arguments; return those with what it gave, and the reasons of the others."""
    given, reasons = [], []
    for one in arguments:
        try:
            given.append((one, function(*one)))
        except TrainError as error:
            reasons.append(str(error))
    return given, reasons


def joined(reasons: Sequence[str]) -> str:
    """Return reasons in one line: the first, and how many more there are."""
    different = list(dict.fromkeys(reasons))
    more = f" (and {len(different) - 1} more)" if len(different) > 1 else ""
    return f"{different[0]}{more}" if different else "no such run was asked for"


def mean_and_spread(values: Sequence[float], spread: Spread = "error") -> tuple[float, float | None]:
    """Return the mean over seeds, and its standard error or the standard deviation; None of a single seed."""
    n = len(values)
    mean = sum(values) / n
    if n == 1:
        return mean, None
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1))
    return mean, deviation / math.sqrt(n) if spread == "error" else deviation


def spread_text(counts: Sequence[int], spread: Spread, mark: str) -> str:
    """Say what the bars or bands of a figure are.

    Args:
        counts: seeds of each point.
        mark: "error bars" or "band".
    """
    return f"one seed: no {mark}" if max(counts) == 1 else f"{mark}: {SPREADS[spread]} over {seeds_text(counts)}"


def seeds_text(counts: Sequence[int]) -> str:
    """Say over how many seeds means are, "1 to 3 seeds" where points differ."""
    low, high = min(counts), max(counts)
    return f"{high if low == high else f'{low} to {high}'} seeds"


def checkpoints(task: Task) -> list[Checkpoint]:
    """Return the whole checkpoints that a run has kept, oldest first.

    Raises:
        TrainError: if there is none, or they are of another run.
    """
    refuse_another(task)
    found = list(whole_checkpoints(task.run_dir / CHECKPOINTS_FOLDER, lambda line: print(line, file=sys.stderr)))[::-1]
    if not found:
        raise TrainError(f"{task.preset} seed {task.seed}: no whole checkpoint")
    return found


def finite_discriminator(task: Task, checkpoint: Checkpoint) -> Discriminator:
    """Return a checkpoint's D in float64 and eval mode, for a decomposition of its weights.

    Raises:
        TrainError: if a weight is not finite.
    """
    D = load_discriminator(task.config, checkpoint).double()
    try:
        check_finite(D)
    except NotFiniteError as error:
        raise TrainError(f"{task.preset} seed {task.seed}, step {checkpoint.step}: {error}") from error
    return D


def say(axes: "Axes", reason: str) -> None:
    """Write into a panel why nothing is drawn there."""
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    words = textwrap.fill(reason, REASON_LETTERS, max_lines=8)
    axes.text(0.5, 0.5, words, ha="center", va="center", fontsize=6, transform=axes.transAxes)
