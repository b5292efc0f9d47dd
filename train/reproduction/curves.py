"""Curves of a table's runs, a panel for each row: the gradient norms of D's layers, or D's scores."""

import math
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sngan_cond.hub.checkpoints import CHECKPOINTS_FOLDER
from train.analysis.measure import read_curves
from train.errors import TrainError
from train.plotting import COLOURS, add_legend, count_images, panels, png, shades
from train.reproduction.gradients import gradient_norms
from train.reproduction.measures import gradient_inputs
from train.reproduction.runner import refuse_another
from train.reproduction.task import Task
from train.run.checkpoint import whole_checkpoints
from train.run.scalars import SCALARS_FILE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 3  # that can be read on a page
TITLE_LETTERS = 38  # that fit above a panel
LINE: dict[str, Any] = {"linewidth": 1.0, "marker": ".", "markersize": 3}  # of many points, on small panels
REAL, FAKE = "d/score_real", "d/score_fake"


def plot_curves(folder: Path, tasks: Sequence[Task]) -> None:
    """Draw `curves-<paper>-<table>.png` for every table of which something ran, and under these settings.

    Tables about gradients show the gradient norm of each layer of D in the kept checkpoints, as the geometric mean over
    seeds; all others show D's score of real minus fake images, one line a seed.
    """
    tables: dict[str, dict[str, list[Task]]] = {}
    for task in tasks:
        if _is_logged(task):
            tables.setdefault(task.table.key, {}).setdefault(task.row.label, []).append(task)
    for key, rows in tables.items():
        _draw(folder / f"curves-{key.replace('/', '-')}.png", rows)


def _is_logged(task: Task) -> bool:
    try:
        refuse_another(task)
    except TrainError:
        return False
    return (task.run_dir / SCALARS_FILE).is_file()


def _draw(path: Path, rows: dict[str, list[Task]]) -> None:
    (first, *_), *_ = rows.values()
    if "gradient_norms" in first.table.metrics:
        draw, label, scale = _gradients, "gradient norm by layer of D", {"value": "log"}
    else:
        draw, label, scale = _scores, "D's score, real minus fake", {"value": "symlog", "linthresh": 1.0}
    with png(path) as figure:
        grid = panels(figure, len(rows), columns=COLUMNS, width_inch=2.5, same_axes=True)
        for axes, (title, tasks) in zip(grid, rows.items(), strict=True):
            draw(axes, tasks)
            axes.set_title(textwrap.fill(title, TITLE_LETTERS))
            count_images(axes)
        grid[0].set_yscale(**scale)
        figure.supylabel(label)
        add_legend(figure, grid)


def _scores(axes: "Axes", tasks: Sequence[Task]) -> None:
    for task in tasks:
        curves = read_curves(task.run_dir / SCALARS_FILE)
        if not curves.keys() >= {REAL, FAKE}:
            continue
        pairs = zip(curves[REAL].values, curves[FAKE].values, strict=True)
        gaps = [math.nan if real is None or fake is None else real - fake for real, fake in pairs]
        colour = COLOURS[task.seed % len(COLOURS)]
        axes.plot(curves[REAL].images_seen, gaps, **LINE, color=colour, label=f"seed {task.seed}")


def _gradients(axes: "Axes", tasks: Sequence[Task]) -> None:
    logs: dict[int, list[list[float]]] = {}
    for task in tasks:
        for checkpoint in whole_checkpoints(
            task.run_dir / CHECKPOINTS_FOLDER, lambda line: print(line, file=sys.stderr)
        ):
            norms = gradient_norms(*gradient_inputs(task.config, checkpoint))
            logs.setdefault(checkpoint.state.images_seen, []).append([math.log(max(norm, 1e-30)) for norm in norms])
    images_seen = sorted(logs)
    layers = [[math.exp(sum(layer) / len(layer)) for layer in zip(*logs[seen], strict=True)] for seen in images_seen]
    by_layer = list(zip(*layers, strict=True))
    for number, (norms, colour) in enumerate(zip(by_layer, shades(len(by_layer)), strict=True), start=1):
        axes.plot(images_seen, norms, **LINE, color=colour, label=f"layer {number}")
