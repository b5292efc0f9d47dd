"""What the figures read of their runs: results, scores at intervals, kept checkpoints; and where a panel has none."""

import math
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from sngan_cond.hub.checkpoints import CHECKPOINTS_FOLDER
from train.errors import TrainError
from train.reproduction.measures import SCORED, Measured
from train.reproduction.results import LOWEST_IS_BEST
from train.reproduction.runner import result_of
from train.reproduction.task import Task
from train.run.checkpoint import Checkpoint, whole_checkpoints
from train.stored import read_as

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REASON_LETTERS = 42
Spread = Literal["error", "deviation"]
SPREADS = {"error": "standard error", "deviation": "standard deviation"}


class Curve(NamedTuple):
    """A score of one run at intervals.

    Args:
        name: of the score, with its extractor.
        steps: generator updates.
    """

    name: str
    steps: list[int]
    values: list[float]


def final_score(task: Task, metric: str) -> Measured:
    """Return what a run was measured at its end.

    Raises:
        TrainError: with the reason where there is no number.
    """
    result = result_of(task)
    if result is None:
        raise TrainError(f"{task.preset} seed {task.seed}: no result")
    if found := result.measured.get(metric):
        return found[0]
    reason = result.reasons.get(metric) or result.reasons.get("run") or f"its table does not report {metric}"
    raise TrainError(f"{task.preset} seed {task.seed}: {reason}")


def score_curve(task: Task, metric: str) -> Curve:
    """Return the scores of the raw generator that a run took at intervals.

    Raises:
        TrainError: with the reason where there are none, or they are of several extractors or protocols.
    """
    run = f"{task.preset} seed {task.seed}"
    files = sorted((task.run_dir / "evaluations").glob("step-*/generator.json"))
    rows = [(int(file.parent.name[5:]), row) for file in files for row in read_as(dict[str, Any], file)["metrics"]]
    points = [(step, row) for step, row in rows if row["metric"] == SCORED[metric][0]]
    if not points:
        if task.scoring.extractor is None:
            raise TrainError(f"{run}: not scored during training: {task.scoring.missing}")
        final_score(task, metric)  # a run that failed has its own reason
        raise TrainError(f"{run}: no score during training (evaluation.every={task.config.evaluation.every})")
    kinds = {(row["name"], row["protocol"]) for _, row in points}
    if len(kinds) > 1:
        raise TrainError(
            f"{run}: scored as {' and '.join(' '.join(kind) for kind in sorted(kinds))} at different steps"
        )
    ((name, _),) = kinds
    return Curve(name, [step for step, _ in points], [float(row["value"]) for _, row in points])


def gaps(found: Sequence[tuple[tuple[Task, str], Curve]]) -> list[str]:
    """Say of which curves intervals are missing, as of a run that was made before it was to be scored."""
    lines = []
    for (task, _), curve in found:
        wanted = task.config.steps // task.config.evaluation.every if task.config.evaluation.every else 0
        if len(curve.steps) < wanted:
            run = f"{task.preset} seed {task.seed}"
            lines.append(f"{run}: scored at {len(curve.steps)} of {wanted} steps; without its folder it is made anew")
    return lines


def best_score(task: Task, metric: str) -> Measured:
    """Return the best of a run's scores at intervals; as `score_curve`."""
    curve = score_curve(task, metric)
    best = min(curve.values) if metric in LOWEST_IS_BEST else max(curve.values)
    return Measured(curve.name, best, "best of the scores at intervals")


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
    low, high = min(counts), max(counts)
    if high == 1:
        return f"one seed: no {mark}"
    seeds = f"{high}" if low == high else f"{low} to {high}"
    return f"{mark}: {SPREADS[spread]} over {seeds} seeds"


def checkpoints(task: Task) -> list[Checkpoint]:
    """Return the whole checkpoints that a run has kept, oldest first.

    Raises:
        TrainError: if there is none.
    """
    found = list(whole_checkpoints(task.run_dir / CHECKPOINTS_FOLDER, lambda line: print(line, file=sys.stderr)))[::-1]
    if not found:
        raise TrainError(f"{task.preset} seed {task.seed}: no whole checkpoint")
    return found


def say(axes: "Axes", reason: str) -> None:
    """Write into a panel why nothing is drawn there."""
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    words = textwrap.fill(reason, REASON_LETTERS, max_lines=8)
    axes.text(0.5, 0.5, words, ha="center", va="center", fontsize=6, transform=axes.transAxes)
