"""What is measured of D's layers at the kept checkpoints of a figure's runs, and how it is drawn over training."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from train.errors import TrainError
from train.plotting import shades
from train.reproduction.figures.reading import checkpoints, failures, joined, seeds_text, split
from train.reproduction.task import Task
from train.run.checkpoint import Checkpoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Measure = Callable[[Task, Checkpoint], Mapping[str, float]]
LINE: dict[str, Any] = {"linewidth": 1.0, "marker": ".", "markersize": 4}  # a run of one checkpoint is a point
_SMALLEST = 1e-300  # stands in for 0 where a logarithm is taken


@dataclass(frozen=True)
class Moment:
    """What was measured at one step of a row's runs.

    Args:
        step: updates of G.
        seeds: runs that have a checkpoint of that step.
        values: by layer, geometric means over these runs; None where one of them is not finite.
    """

    step: int
    seeds: int
    values: dict[str, float | None]


@dataclass(frozen=True)
class Kept:
    """What was measured of a figure's rows.

    Args:
        rows: by label, oldest moment first; only rows of which something could be measured.
        reasons: why runs are missing.
    """

    rows: dict[str, list[Moment]]
    reasons: list[str]

    @property
    def layers(self) -> list[str]:
        """The layers of all rows, in D's order."""
        return list(dict.fromkeys(name for row in self.rows.values() for moment in row for name in moment.values))

    def plain(self) -> dict[str, Any]:
        """Return all of it as JSON holds it, and what the lines are."""
        counts = [moment.seeds for row in self.rows.values() for moment in row]
        spread = "one seed" if max(counts) == 1 else f"geometric means over {seeds_text(counts)}"
        return {"rows": asdict(self)["rows"], "reasons": self.reasons, "spread": spread}


def measure_runs(tasks: Sequence[Task], measure: Callable[[Task], Any]) -> tuple[list[tuple[Task, Any]], list[str]]:
    """Return the runs that can be measured with what was measured, and why others, or the ends of some, are missing.

    Raises:
        TrainError: with the reasons, if none can be.
    """
    found, reasons = split([(task,) for task in tasks], measure)
    if not found:
        raise TrainError(joined(reasons))
    return [(task, measured) for (task,), measured in found], [*reasons, *failures(task for (task,), _ in found)]


def measure_kept(
    tasks: Sequence[Task],
    measure: Measure,
    choose: Callable[[Task, list[Checkpoint]], Iterable[Checkpoint]] = lambda _task, kept: kept,
) -> Kept:
    """Measure D's layers at kept checkpoints of every run.

    Args:
        tasks: the figure's runs; those of one row differ in their seed.
        measure: returns a number from 0 for each layer, by the layer's name.
        choose: returns those of a run's checkpoints, oldest first, that are measured.
    Raises:
        TrainError: if there is none to measure of any run.
    """

    def measure_one(task: Task) -> list[tuple[int, Mapping[str, float]]]:
        return [(one.step, measure(task, one)) for one in choose(task, checkpoints(task))]

    measured, reasons = measure_runs(tasks, measure_one)
    found: dict[str, dict[int, list[Mapping[str, float]]]] = {}
    for task, moments in measured:
        for step, values in moments:
            found.setdefault(task.row.label, {}).setdefault(step, []).append(values)
    rows = {
        label: [Moment(step, len(runs), _mean(runs)) for step, runs in sorted(moments.items())]
        for label, moments in found.items()
    }
    return Kept(rows, reasons)


def draw_layers(axes: "Axes", row: Sequence[Moment], layers: Sequence[str]) -> None:
    """Draw a line over training for each layer, from dark to light; the same layer has its colour in every panel."""
    for number, (name, colour) in enumerate(zip(layers, shades(len(layers)), strict=True), start=1):
        axes.plot([moment.step for moment in row], curve(row, name), **LINE, color=colour, label=f"layer {number}")


def curve(row: Sequence[Moment], layer: str) -> list[float]:
    """Return what was measured of one layer over training, nan where there is no number."""
    values = [moment.values.get(layer) for moment in row]
    return [math.nan if value is None else value for value in values]


def _mean(runs: Sequence[Mapping[str, float]]) -> dict[str, float | None]:
    return {name: geometric_mean([run[name] for run in runs]) for name in runs[0]}


def geometric_mean(values: Sequence[float]) -> float | None:
    """Return the geometric mean of numbers from 0, None where one is not finite."""
    if not all(map(math.isfinite, values)):
        return None
    if len(values) == 1:
        return values[0]
    return math.exp(math.fsum(math.log(max(value, _SMALLEST)) for value in values) / len(values))
