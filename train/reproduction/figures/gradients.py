"""Gradients of D over training: by layer, of the training loss, and their ratios (Lin et al. 2021)."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sngan_cond.constraints.weight_matrices import normalised_layers
from train.analysis.measure import read_curves
from train.errors import TrainError
from train.plotting import COLOURS, add_legend, panels, shades
from train.presets.load import load_config
from train.reproduction.figures.kept import (
    draw_layers,
    kept_checkpoints,
    measure_each,
    measure_kept,
    nearest_to,
    over_updates,
)
from train.reproduction.gradients import gradient_norms, image_gradient_norms, spectral_factors
from train.reproduction.measures import GRADIENT_IMAGES, gradient_inputs
from train.reproduction.task import Task
from train.run.checkpoint import Checkpoint
from train.run.scalars import SCALARS_FILE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOGGED = "d/gradient_norm"
LABEL = "gradient norm"
MEASURED = f"norm of the gradient of D's mean score on {GRADIENT_IMAGES} real images by each layer's weight"
ITERATION = 10_000  # of Figure 13
MARKED = 40  # points of a line up to which each one is marked


def draw_over_training(figure: "Figure", tasks: Sequence[Task]) -> dict[str, Any]:
    """Draw the gradient norm of every layer of D over training, a panel for each row.

    The gradient is that of section 3: of the score, by the weights as they act.
    Source: Lin et al. 2021, Figure 2.
    """
    kept = measure_kept(tasks, _norms)
    grid = panels(figure, len(kept.rows), columns=3, width_inch=3.2, same_axes=True)
    for axes, (label, row) in zip(grid, kept.rows.items(), strict=True):
        draw_layers(axes, row, kept.layers)
        axes.set_title(label)
        over_updates(axes)
    grid[0].set_yscale("log")
    figure.supylabel(LABEL)
    add_legend(figure, grid)
    return {"measured": MEASURED, **kept.plain()}


def draw_at_epoch_50(figure: "Figure", tasks: Sequence[Task]) -> dict[str, Any]:
    """Draw the gradient norm of every layer of D halfway through training: epoch 50 of 100.

    Source: Lin et al. 2021, Figure 12.
    """
    return _draw_at(figure, tasks, lambda _task: 0.5)


def draw_at_iteration_10000(figure: "Figure", tasks: Sequence[Task]) -> dict[str, Any]:
    """Draw the gradient norm of every layer of D at iteration 10,000 of the paper's, or that share of a shorter run.

    Source: Lin et al. 2021, Figure 13.
    """
    return _draw_at(figure, tasks, lambda task: min(1.0, ITERATION / load_config(task.preset).steps))


def _draw_at(figure: "Figure", tasks: Sequence[Task], share: Callable[[Task], float]) -> dict[str, Any]:
    kept = measure_kept(tasks, _norms, nearest_to(share))
    (axes,) = panels(figure, 1, columns=1, width_inch=5)
    numbers = range(1, len(kept.layers) + 1)
    for (label, row), colour, marker in zip(kept.rows.items(), COLOURS, "os^Dv<>", strict=False):
        for moment in row:  # more than one where seeds have kept different steps
            values = [math.nan if value is None else value for value in map(moment.values.get, kept.layers)]
            axes.plot(numbers, values, color=colour, marker=marker, label=f"{label}, step {moment.step:,}")
    axes.set_yscale("log")
    axes.set_xticks(numbers)
    axes.set_xlabel("layer of D")
    axes.set_ylabel(LABEL)
    add_legend(figure, [axes])
    sought = {task.row.label: round(share(task) * task.config.steps) for task in tasks}
    return {
        "measured": f"{MEASURED}, at the kept checkpoint nearest to the step",
        "sought_step": sought,
        **kept.plain(),
    }


def _norms(task: Task, checkpoint: Checkpoint) -> dict[str, float]:
    D, x, y = gradient_inputs(task.config, checkpoint)
    names = [name for name, _ in normalised_layers(D)]
    return dict(zip(names, gradient_norms(D, x, y), strict=True))


def draw_of_the_loss(figure: "Figure", tasks: Sequence[Task]) -> dict[str, Any]:
    """Draw the norm of the gradient of D's training loss by its parameters, as every update logs it.

    One colour a row; a row's runs have lines of their own.
    Source: Lin et al. 2021, Figures 5, 11 and 18.
    """
    measured, missing = measure_each(tasks, _logged)
    rows: dict[str, dict[str, dict[str, list[Any]]]] = {}
    for task, logged in measured:
        rows.setdefault(task.row.label, {})[f"seed {task.seed}"] = logged
    (axes,) = panels(figure, 1, columns=1, width_inch=5)
    for (label, seeds), colour in zip(rows.items(), COLOURS, strict=False):
        for one in seeds.values():
            values = [math.nan if value is None else value for value in one["values"]]
            marker = "." if len(values) <= MARKED else ""
            axes.plot(one["steps"], values, linewidth=1.0, marker=marker, color=colour, label=label)
    axes.set_yscale("log")
    axes.set_ylabel("gradient norm of D's loss")
    over_updates(axes)
    add_legend(figure, [axes])
    what = f"{LOGGED} of the log: of the loss with its penalties, by all parameters of D"
    return {"measured": what, "rows": rows, "missing": missing}


def _logged(task: Task) -> dict[str, list[Any]]:
    path = task.run_dir / SCALARS_FILE
    curves = read_curves(path) if path.is_file() else {}
    if LOGGED not in curves:
        raise TrainError(f"{task.run_dir}: no {LOGGED} is logged there")
    a_step = task.config.d_updates_per_step * task.config.batch_total  # real images
    return {"steps": [seen // a_step for seen in curves[LOGGED].images_seen], "values": curves[LOGGED].values}


def draw_ratios(figure: "Figure", tasks: Sequence[Task]) -> dict[str, Any]:
    """Draw the ratio of gradient norms of every layer to the first against the inverse ratio of their spectral norms.

    A point for each kept checkpoint of each run, every run with factors of its own; on the diagonal equation 2 holds.
    Each gradient norm is a mean over single images, and a spectral norm the factor that the constraint sets.
    Source: Lin et al. 2021, Figures 3, 14 and 15.
    """
    measured, missing = measure_each(tasks, lambda task: [_ratios(task, one) for one in kept_checkpoints(task)])
    points: dict[str, list[dict[str, Any]]] = {}
    for _task, moments in measured:
        for pair, point in itertools.chain.from_iterable(moment.items() for moment in moments):
            points.setdefault(pair, []).append(point)
    (axes,) = panels(figure, 1, columns=1, width_inch=6, heights_inch=[4.6])
    for (pair, found), colour in zip(points.items(), shades(len(points)), strict=True):
        x, y = ([point[key] for point in found] for key in ("inverse_norm_ratio", "gradient_ratio"))
        axes.plot(x, y, color=colour, linestyle="", marker="o", markersize=3, alpha=0.8, label=pair)
    _draw_diagonal(axes)
    add_legend(figure, [axes])
    what = f"norms of gradients of D's score, means over {GRADIENT_IMAGES} single real images"
    return {"measured": what, "points": points, "missing": missing}


def _ratios(task: Task, checkpoint: Checkpoint) -> dict[str, dict[str, Any]]:
    D, x, y = gradient_inputs(task.config, checkpoint)
    means, norms = image_gradient_norms(D, x, y), spectral_factors(D)
    if not all(math.isfinite(mean) and mean > 0 for mean in means):
        raise TrainError(f"{checkpoint.folder}: a layer's gradient norm is 0 or not finite: it has no ratio")
    return {
        f"layer {number} / layer 1": {
            "draw": task.row.label,
            "step": checkpoint.step,
            "inverse_norm_ratio": norms[0] / norm,
            "gradient_ratio": mean / means[0],
        }
        for number, (mean, norm) in enumerate(zip(means[1:], norms[1:], strict=True), start=2)
    }


def _draw_diagonal(axes: "Axes") -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    low, high = min(axes.get_xlim()[0], axes.get_ylim()[0]), max(axes.get_xlim()[1], axes.get_ylim()[1])
    axes.plot([low, high], [low, high], color="black", linewidth=1, linestyle="--", label="equation 2")
    axes.set_xlabel("inverse ratio of spectral norms")
    axes.set_ylabel("ratio of gradient norms")
