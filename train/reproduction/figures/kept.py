"""What is measured of D's layers at the kept checkpoints of a figure's runs, and how it is drawn."""

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from sngan_cond.hub.checkpoints import CHECKPOINTS_FOLDER
from train.errors import TrainError
from train.plotting import shades
from train.reproduction.task import Task
from train.run.checkpoint import Checkpoint, whole_checkpoints

if TYPE_CHECKING:
    from matplotlib.axes import Axes

T = TypeVar("T")
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
        missing: label and seed of every run of which nothing could, with the reason.
    """

    rows: dict[str, list[Moment]]
    missing: dict[str, str]

    @property
    def layers(self) -> list[str]:
        """The layers of all rows, in D's order."""
        return list(dict.fromkeys(name for row in self.rows.values() for moment in row for name in moment.values))

    def plain(self) -> dict[str, Any]:
        """Return all of it as JSON holds it."""
        return asdict(self)


def kept_checkpoints(task: Task) -> list[Checkpoint]:
    """Return a run's whole checkpoints, oldest first.

    Raises:
        TrainError: if it has none.
    """
    folder = task.run_dir / CHECKPOINTS_FOLDER
    found = list(whole_checkpoints(folder, lambda line: print(f"warning: {line}", file=sys.stderr)))
    if not found:
        raise TrainError(f"{task.run_dir}: no whole checkpoint there")
    return found[::-1]


def measure_each(tasks: Sequence[Task], measure: Callable[[Task], T]) -> tuple[list[tuple[Task, T]], dict[str, str]]:
    """Measure every run that can be measured.

    Returns:
        The runs with what was measured; and label and seed of the others, each with the reason.
    Raises:
        TrainError: with the reasons, if none can be.
    """
    measured, missing = [], {}
    for task in tasks:
        try:
            measured.append((task, measure(task)))
        except TrainError as error:
            missing[f"{task.row.label}, seed {task.seed}"] = str(error)
    if not measured:
        raise TrainError("; ".join(dict.fromkeys(missing.values())) or "no run to measure")
    return measured, missing


def measure_kept(
    tasks: Sequence[Task],
    measure: Measure,
    choose: Callable[[Task, list[Checkpoint]], Iterable[Checkpoint]] = lambda _task, kept: kept,
) -> Kept:
    """Measure D's layers at kept checkpoints of every run.

    Args:
        tasks: the figure's runs; those of one row differ in their seed.
        measure: returns a number above 0 for each layer, by the layer's name.
        choose: returns those of a run's checkpoints, oldest first, that are measured.
    Raises:
        TrainError: if there is none to measure of any run.
    """

    def measure_one(task: Task) -> list[tuple[Checkpoint, Mapping[str, float]]]:
        return [(checkpoint, measure(task, checkpoint)) for checkpoint in choose(task, kept_checkpoints(task))]

    measured, missing = measure_each(tasks, measure_one)
    found: dict[str, dict[int, list[Mapping[str, float]]]] = {}
    for task, moments in measured:
        for checkpoint, values in moments:
            found.setdefault(task.row.label, {}).setdefault(checkpoint.step, []).append(values)
    rows = {
        label: [Moment(step, len(runs), _mean(runs)) for step, runs in sorted(moments.items())]
        for label, moments in found.items()
    }
    return Kept(rows, missing)


def nearest_to(share: Callable[[Task], float]) -> Callable[[Task, list[Checkpoint]], list[Checkpoint]]:
    """Choose the one checkpoint of a run that is nearest to a share, 0 to 1, of its steps."""

    def choose(task: Task, kept: list[Checkpoint]) -> list[Checkpoint]:
        step = share(task) * task.config.steps
        return [min(kept, key=lambda checkpoint: abs(checkpoint.step - step))]

    return choose


def draw_layers(axes: "Axes", row: Sequence[Moment], layers: Sequence[str]) -> None:
    """Draw a line over training for each layer, from dark to light; the same layer has its colour in every panel."""
    for number, (name, colour) in enumerate(zip(layers, shades(len(layers)), strict=True), start=1):
        axes.plot([moment.step for moment in row], curve(row, name), **LINE, color=colour, label=f"layer {number}")


def over_updates(axes: "Axes") -> None:
    """Label the horizontal axis as the training's progress: updates of G, 200k for 200,000."""
    from matplotlib.ticker import EngFormatter

    axes.set_xlabel("updates of G")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def curve(row: Sequence[Moment], layer: str) -> list[float]:
    """Return what was measured of one layer over training, nan where there is no number."""
    values = [moment.values.get(layer) for moment in row]
    return [math.nan if value is None else value for value in values]


def _mean(runs: Sequence[Mapping[str, float]]) -> dict[str, float | None]:
    return {name: _geometric_mean([run[name] for run in runs]) for name in runs[0]}


def _geometric_mean(values: Sequence[float]) -> float | None:
    if not all(map(math.isfinite, values)):
        return None
    if len(values) == 1:
        return values[0]
    return math.exp(math.fsum(math.log(max(value, _SMALLEST)) for value in values) / len(values))
