"""Figures of scores: bars by setting, a score against a number, and learning curves."""

import itertools
import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from train.errors import TrainError
from train.plotting import COLOURS, add_legend, panels
from train.reproduction.figures.intervals import best_score, gaps, one_kind, score_curve
from train.reproduction.figures.reading import (
    Spread,
    best_task,
    final_score,
    joined,
    mean_and_spread,
    say,
    split,
    spread_text,
)
from train.reproduction.task import Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = "os^Dvp*X"
_BAR_INCH = 0.13  # width of a bar in a panel
_LETTER_INCH = 0.08  # of a letter below a group of bars


def parts(task: Task, at: str) -> tuple[str, str]:
    """Split a row's label into what it is and at which setting, as "SN_w, scale 2, cifar10" at ", scale "."""
    what, _, rest = task.row.label.partition(at)
    return what, rest.partition(", ")[0]


def bars(
    figure: "Figure", tasks: Sequence[Task], *, metric: str | Sequence[str], shown: Mapping[str, str], by: str
) -> dict[str, Any]:
    """Draw bars of scores at the end: a panel a metric and data set asked for, a group a method, a bar a setting.

    Args:
        metric: of the tables, one or several.
        shown: title of a panel to the pattern of its rows' names.
        by: where a row's label has its setting.
    """
    metrics = [metric] if isinstance(metric, str) else list(metric)
    asked = {
        title: pattern for title, pattern in shown.items() if any(fnmatchcase(task.row.name, pattern) for task in tasks)
    }
    cases = [(name, title, pattern) for name in metrics for title, pattern in (asked or shown).items()]
    drawn, reasons = _bar_panels(figure, tasks, cases, by)
    counts = [bar["n"] for panel in drawn for bar in panel["bars"]]
    if not counts:
        raise TrainError(joined(reasons))
    return {"panels": drawn, "reasons": reasons, "spread": spread_text(counts, "error", "error bars")}


def _bar_panels(
    figure: "Figure", tasks: Sequence[Task], cases: Sequence[tuple[str, str, str]], at: str
) -> tuple[list[dict[str, Any]], list[str]]:
    series = list(dict.fromkeys(parts(task, at)[1] for task in tasks))
    groups = {parts(task, at)[0].replace(" (", "\n(") for task in tasks}
    longest = max((len(line) for group in groups for line in group.split("\n")), default=0)
    width = max(4.5, 0.8 + len(groups) * max(_BAR_INCH * (len(series) + 1.5), _LETTER_INCH * longest))
    drawn, lost = [], []
    grid = panels(figure, len(cases), columns=1, width_inch=width, heights_inch=[2.6] * len(cases))
    for axes, (metric, title, pattern) in zip(grid, cases, strict=True):
        of_panel = [task for task in tasks if fnmatchcase(task.row.name, pattern)]
        found, reasons = split([(task, metric) for task in of_panel], final_score)
        lost += reasons
        if not found:
            say(axes, joined(reasons))
            continue
        bars: dict[tuple[str, str], list[float]] = {}
        for (task, _), score in found:
            bars.setdefault(parts(task, at), []).append(score.value)
        name = _one_name([score.name for _, score in found])
        labels = list(dict.fromkeys(parts(task, at)[0] for task in of_panel))
        made = [{"group": group, "setting": setting, **_stated(values)} for (group, setting), values in bars.items()]
        for number, setting in enumerate(series):
            of_setting = [bar for bar in made if bar["setting"] == setting]
            x = [
                labels.index(bar["group"]) + (number - (len(series) - 1) / 2) / (len(series) + 1) for bar in of_setting
            ]
            heights, errors = (
                [bar["mean"] for bar in of_setting],
                [math.nan if bar["error"] is None else bar["error"] for bar in of_setting],
            )
            legend = f"{at.strip(', ')} {setting}".strip()
            style = {"color": COLOURS[number % len(COLOURS)], "width": 1 / (len(series) + 1), "label": legend}
            axes.bar(x, heights, yerr=errors, error_kw={"linewidth": 0.8, "capsize": 1.5}, **style)
        axes.set_xticks(range(len(labels)), [label.replace(" (", "\n(") for label in labels])
        axes.grid(visible=False, axis="x")
        axes.set_title(title)
        axes.set_ylabel(name.replace("_", " "))
        drawn.append({"title": title, "name": name, "bars": made})
    add_legend(figure, grid)
    return drawn, lost


def score_against(
    figure: "Figure",
    tasks: Sequence[Task],
    *,
    metric: str,
    by: str,
    label: str,
    spread: Spread = "deviation",
    log: int | None = None,
    during: bool = False,
    same: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Draw a score against a number in the rows' labels, a line a method.

    Args:
        by: where a row's label has its number.
        label: of the horizontal axis.
        log: base of a logarithmic horizontal axis; None makes it linear.
        during: take the best score during training instead of the one at the end.
        same: names of methods that are another's.
    """
    (axes,) = panels(figure, 1, columns=1, width_inch=6)
    found, reasons = split([(task, metric) for task in tasks], best_score if during else final_score)
    if not found:
        raise TrainError(joined(reasons))
    if during:
        curves = [(one, score_curve(*one)) for one, _ in found]
        reasons += gaps(curves)
        kind = one_kind(curve.kind for _, curve in curves)
        named, shown = {"name": kind.name, "scored": kind._asdict()}, kind.label(best=True)
    else:
        name = _one_name([score.name for _, score in found])
        named, shown = {"name": name}, name.replace("_", " ")
    lines: dict[str, dict[float, list[float]]] = {}
    for (task, _), score in found:
        what, number = parts(task, by)
        lines.setdefault((same or {}).get(what, what), {}).setdefault(float(number), []).append(score.value)
    drawn = []
    for (what, points), colour, marker in zip(lines.items(), COLOURS, _MARKERS, strict=False):
        made = [{"x": x, **_stated(points[x], spread)} for x in sorted(points)]
        _line(axes, [point["x"] for point in made], made, colour, marker, what)
        drawn.append({"line": what, "points": made})
    if log:
        axes.set_xscale("log", base=log)
        axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel(label)
    axes.set_ylabel(shown)
    add_legend(figure, [axes])
    counts = [point["n"] for line in drawn for point in line["points"]]
    return {**named, "lines": drawn, "reasons": reasons, "spread": spread_text(counts, spread, "band")}


def score_curves(
    figure: "Figure", tasks: Sequence[Task], *, shown: Sequence[tuple[str, str]], best_of: str = ""
) -> dict[str, Any]:
    """Draw scores over training, a panel a metric and pattern of rows' names, a line a row with a band over seeds.

    Args:
        best_of: where a row's label has its setting, where only the best setting of each method is drawn: the one of
            the run with the best score at its end.
    """
    grid = panels(figure, len(shown), columns=2, width_inch=5 if len(shown) > 1 else 6)
    made = []
    for axes, (metric, pattern) in zip(grid, shown, strict=True):
        of_panel = [task for task in tasks if fnmatchcase(task.row.name, pattern)]
        made.append(curves_in(axes, of_panel, metric, best_of))
    drawn, reasons = [panel for panel, _ in made], [reason for _, lost in made for reason in lost]
    counts = [point["n"] for panel in drawn for line in panel["lines"] for point in line["points"]]
    if not counts:
        raise TrainError(joined(reasons))
    add_legend(figure, grid)
    return {"panels": drawn, "reasons": reasons, "spread": spread_text(counts, "error", "band")}


def curves_in(axes: "Axes", tasks: Sequence[Task], metric: str, best_of: str = "") -> tuple[dict[str, Any], list[str]]:
    """Draw one panel of `score_curves`; return what was drawn, and why something was not."""
    tasks, reasons = _best_settings(tasks, metric, best_of) if best_of else (tasks, [])
    found, lost = split([(task, metric) for task in tasks], score_curve)
    reasons = [*reasons, *lost, *gaps(found)]
    if not found:
        say(axes, joined(reasons))
        return {"lines": []}, reasons
    kind = one_kind(curve.kind for _, curve in found)
    lines: dict[str, dict[int, list[float]]] = {}
    for (task, _), curve in found:
        for step, value in zip(curve.steps, curve.values, strict=True):
            lines.setdefault(task.row.label, {}).setdefault(step, []).append(value)
    drawn = []
    looks = itertools.product(("-", "--"), COLOURS)
    for (label, points), (line, colour), marker in zip(lines.items(), looks, itertools.cycle(_MARKERS), strict=False):
        made = [{"step": step, **_stated(points[step])} for step in sorted(points)]
        _line(axes, [point["step"] for point in made], made, colour, marker, label, line)
        drawn.append({"line": label, "points": made})
    over_updates(axes)
    axes.set_ylabel(kind.label())
    return {"name": kind.name, "scored": kind._asdict(), "lines": drawn}, reasons


def _best_settings(tasks: Sequence[Task], metric: str, at: str) -> tuple[list[Task], list[str]]:
    methods: dict[str, list[Task]] = {}
    for task in tasks:
        methods.setdefault(parts(task, at)[0], []).append(task)
    found, reasons = split([(of_method, metric) for of_method in methods.values()], best_task)
    chosen = {best.row.name for _, (best, _) in found}
    return [task for task in tasks if task.row.name in chosen], reasons


def _line(
    axes: "Axes",
    x: Sequence[float],
    points: Sequence[Mapping[str, Any]],
    colour: str,
    marker: str,
    label: str,
    line: str = "-",
) -> None:
    means = np.array([point["mean"] for point in points])
    errors = np.array([point["error"] or 0.0 for point in points])
    axes.plot(x, means, color=colour, linestyle=line, marker=marker, markersize=3, label=label)
    axes.fill_between(x, means - errors, means + errors, color=colour, alpha=0.2, linewidth=0)


def over_updates(axes: "Axes") -> None:
    """Label the horizontal axis as generator updates, 200k for 200,000."""
    from matplotlib.ticker import EngFormatter

    axes.set_xlabel("updates of G")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _stated(values: Sequence[float], spread: Spread = "error") -> dict[str, Any]:
    mean, error = mean_and_spread(values, spread)
    return {"mean": mean, "error": error, "n": len(values)}


def _one_name(names: Sequence[str]) -> str:
    different = sorted(set(names))
    if len(different) > 1:
        raise TrainError(f"{' and '.join(different)}: scores of different extractors share no axis")
    return different[0]
