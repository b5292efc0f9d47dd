"""Figures of images: sheets of the best run, matrices of methods and settings, real images beside generated ones."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sngan_cond import Generator
from sngan_cond.images import to_grid
from sngan_cond.sampling import generate
from train.analysis.measure import read_curves
from train.data.dataset import PreparedDataset
from train.errors import TrainError
from train.evaluation.streams import on_device, real_indices
from train.grids import grid_inputs
from train.plotting import COLOURS
from train.reproduction.figures.reading import best_task, failures, final_score, joined, say, split
from train.reproduction.figures.scores import over_updates, parts
from train.reproduction.runner import refuse_another
from train.reproduction.task import Task
from train.run.scalars import SCALARS_FILE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHEET_COLUMNS = 8
CELL_COLUMNS = 4  # of a run's cell in a matrix
_MARKED = 40  # points of a curve up to which each one is marked


def best_samples(figure: "Figure", tasks: Sequence[Task], *, metrics: Sequence[str]) -> dict[str, Any]:
    """Draw a sheet of the run with the best score at its end.

    Args:
        metrics: that stand in the title; the first decides.
    """
    task, _ = best_task(tasks, metrics[0])
    found, reasons = split([(task, metric) for metric in metrics], final_score)
    scores = {score.name: score.value for _, score in found}
    figure.set_size_inches(6, 6.6)
    axes = figure.subplots()
    labels = _sheet(axes, task, SHEET_COLUMNS)
    named = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in scores.items())
    axes.set_title(f"{task.row.label}, seed {task.seed}\n{named}")
    what = f"the best of {len(tasks)} run{'s' if len(tasks) > 1 else ''} by {next(iter(scores)).replace('_', ' ')}"
    return {**_named(task), "scores": scores, "labels": labels, "reasons": reasons, "spread": what}


def sample_matrix(figure: "Figure", tasks: Sequence[Task], *, by: str) -> dict[str, Any]:
    """Draw a few images of every row, in the seed with the best class score: a line a method, a column a setting.

    Args:
        by: where a row's label has its setting, and behind it its data.
    """
    rows: dict[tuple[str, str], list[Task]] = {}
    for task in tasks:
        what, setting = parts(task, by)
        data = task.row.label.partition(f"{by}{setting}, ")[2]
        rows.setdefault((f"{what}\n{data}".strip(), setting), []).append(task)
    lines, columns = (list(dict.fromkeys(key[place] for key in rows)) for place in (0, 1))
    figure.set_size_inches(1.0 + 1.5 * len(columns), 0.8 + 1.5 * len(lines))
    grid = figure.subplots(len(lines), len(columns), squeeze=False)
    drawn, reasons = [], []
    for i, line in enumerate(lines):
        for j, setting in enumerate(columns):
            axes = grid[i][j]
            try:
                task, score = best_task(rows.get((line, setting), []), "inception_score")
                _sheet(axes, task, CELL_COLUMNS, rows=CELL_COLUMNS)
                drawn.append({**_named(task), "scores": {score.name: score.value}})
            except TrainError as error:
                say(axes, str(error))
                reasons.append(str(error))
            axes.set_title(setting if i == 0 else "")
            axes.set_ylabel(line if j == 0 else "")
    if not drawn:
        raise TrainError(joined(reasons))
    return {"runs": drawn, "reasons": reasons, "spread": "of each row the seed with the best class score"}


def real_and_generated(figure: "Figure", tasks: Sequence[Task]) -> dict[str, Any]:
    """Draw the logged losses of the first run, and below them real images (left) and its own (right)."""
    task = tasks[0]
    refuse_another(task)
    curves = read_curves(task.run_dir / SCALARS_FILE) if (task.run_dir / SCALARS_FILE).is_file() else {}
    if not curves:
        raise TrainError(f"{task.preset} seed {task.seed}: no log")
    figure.set_size_inches(7, 6.6)
    above, below = figure.subfigures(2, 1, height_ratios=[2, 3])
    axes = above.subplots()
    losses = {}
    for net, colour in zip("dg", COLOURS, strict=False):
        curve = curves[f"{net}/loss"]
        images = task.config.d_updates_per_step * task.config.batch_total
        points = [(n // images, value) for n, value in zip(curve.images_seen, curve.values, strict=True)]
        marker = "." if len(points) < _MARKED else ""
        axes.plot(*zip(*points, strict=True), color=colour, linewidth=0.7, marker=marker, label=net.upper())
        losses[net] = [[step, value] for step, value in points]
    over_updates(axes)
    axes.set_ylabel("loss")
    axes.legend()
    left, right = below.subplots(1, 2)
    dataset = PreparedDataset.open(task.data_path)
    real = on_device(dataset.images[real_indices(dataset, SHEET_COLUMNS**2)], torch.device("cpu"))
    _show(left, real, SHEET_COLUMNS)
    left.set_title("real")
    _sheet(right, task, SHEET_COLUMNS)
    right.set_title(f"generated, step {task.checkpoint.step:,}")
    for axes in (left, right):
        axes.set_anchor("N")
    return {**_named(task), "losses": losses, "reasons": failures([task]), "spread": "one run"}


def _named(task: Task) -> dict[str, Any]:
    return {"run": task.preset, "seed": task.seed, "step": task.checkpoint.step}


def _sheet(axes: "Axes", task: Task, columns: int, rows: int | None = None) -> list[int] | None:
    """Show images of a run's newest checkpoint from the latents of its sample grids; return their labels, if any."""
    generator = Generator.from_pretrained(task.checkpoint.folder)
    z, y = grid_inputs(generator.config, seed=task.seed, columns=columns)
    count = len(z) if rows is None else min(len(z), rows * columns)
    images = torch.cat(list(generate(generator, z[:count], None if y is None else y[:count])))
    _show(axes, images, columns)
    if y is not None and rows is None:
        places = (np.arange(count // columns) + 0.5) * (images.shape[-1] + 2) + 1
        names = PreparedDataset.open(task.data_path).class_names
        axes.set_yticks(places, [names[label][:24] for label in y[::columns]], fontsize=5)
    return None if y is None else y[:count].tolist()


def _show(axes: "Axes", images: torch.Tensor, columns: int) -> None:
    columns = min(columns, math.ceil(math.sqrt(len(images)))) if len(images) < columns else columns
    axes.imshow(to_grid(images, columns=columns).permute(1, 2, 0).numpy(), interpolation="nearest")
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
