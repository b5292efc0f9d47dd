"""Gradients of D: by layer, of the training loss, and their ratios (Lin et al. 2021)."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sngan_cond.constraints.weight_matrices import normalised_layers
from train.analysis.measure import read_curves
from train.errors import TrainError
from train.plotting import COLOURS, add_legend, panels, shades
from train.reproduction.figures.kept import curve, draw_layers, measure_kept, measure_runs
from train.reproduction.figures.reading import checkpoints
from train.reproduction.figures.scores import over_updates
from train.reproduction.gradients import gradient_norms, image_gradient_norms, spectral_factors
from train.reproduction.measures import gradient_inputs
from train.reproduction.runner import refuse_another
from train.reproduction.task import Task
from train.run.checkpoint import Checkpoint
from train.run.scalars import SCALARS_FILE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOGGED = "d/gradient_norm"
LABEL = "gradient norm"
MARKED = 40  # points of a line up to which each one is marked
_MARKERS = "os^Dv<>"


def gradient_curves(figure: "Figure", tasks: Sequence[Task]) -> dict[str, Any]:
    """Draw the gradient norm of every layer of D over training, a panel for each row.

    The gradient is that of section 3: of D's mean score of real images, by the weights as they act.
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
    return kept.plain()


def gradients_by_layer(figure: "Figure", tasks: Sequence[Task], *, share: float) -> dict[str, Any]:
    """Draw the gradient norm over the layers of D at one moment of training, a line for each row.

    Args:
        share: of the run's updates of G, 0 to 1; the kept checkpoint nearest to it is measured.
    Source: Lin et al. 2021, Figure 12 (epoch 50 of 100) and Figure 13 (iteration 10,000).
    """

    def nearest(task: Task, kept: list[Checkpoint]) -> list[Checkpoint]:
        return [min(kept, key=lambda one: abs(one.step - share * task.config.steps))]

    kept = measure_kept(tasks, _norms, nearest)
    (axes,) = panels(figure, 1, columns=1, width_inch=5)
    numbers = range(1, len(kept.layers) + 1)
    for (label, row), colour, marker in zip(kept.rows.items(), COLOURS, _MARKERS, strict=False):
        for moment in row:  # more than one where seeds have kept different steps
            values = [curve([moment], name)[0] for name in kept.layers]
            axes.plot(numbers, values, color=colour, marker=marker, label=f"{label}, update {moment.step:,} of G")
    axes.set_yscale("log")
    axes.set_xticks(numbers)
    axes.set_xlabel("layer of D")
    axes.set_ylabel(LABEL)
    add_legend(figure, [axes])
    sought = {task.row.label: round(share * task.config.steps) for task in tasks}
    return {"sought_step": sought, **kept.plain()}


def _norms(task: Task, checkpoint: Checkpoint) -> dict[str, float]:
    D, x, y = gradient_inputs(task.config, checkpoint)
    names = [name for name, _ in normalised_layers(D)]
    return dict(zip(names, gradient_norms(D, x, y), strict=True))


def loss_gradients(figure: "Figure", tasks: Sequence[Task]) -> dict[str, Any]:
    """Draw the norm of the gradient of D's training loss by its parameters, as the log has it: a line for each run.

    Source: Lin et al. 2021, Figures 5, 11 and 18.
    """
    measured, reasons = measure_runs(tasks, _logged)
    rows: dict[str, dict[str, Any]] = {}
    for task, logged in measured:
        rows.setdefault(task.row.label, {})[f"seed {task.seed}"] = logged
    (axes,) = panels(figure, 1, columns=1, width_inch=6)
    for (label, seeds), colour in zip(rows.items(), COLOURS, strict=False):
        for one in seeds.values():
            values = [math.nan if value is None else value for value in one["values"]]
            marker = "." if len(values) <= MARKED else ""
            axes.plot(one["steps"], values, linewidth=1.0, marker=marker, color=colour, label=label)
    axes.set_yscale("log")
    axes.set_ylabel("gradient norm of D's loss")
    over_updates(axes)
    add_legend(figure, [axes])
    return {"rows": rows, "reasons": reasons, "spread": "a line for each seed"}


def _logged(task: Task) -> dict[str, Any]:
    refuse_another(task)
    path = task.run_dir / SCALARS_FILE
    curves = read_curves(path) if path.is_file() else {}
    if LOGGED not in curves:
        raise TrainError(f"{task.preset} seed {task.seed}: no {LOGGED} is logged")
    an_update = task.config.d_updates_per_step * task.config.batch_total  # real images
    return {"steps": [seen // an_update for seen in curves[LOGGED].images_seen], "values": curves[LOGGED].values}


def gradient_ratios(figure: "Figure", tasks: Sequence[Task]) -> dict[str, Any]:
    """Draw the ratio of every layer's gradient norm to the first's against the inverse ratio of their spectral norms.

    A point for each kept checkpoint of each run, where each row has factors of its own; on the diagonal equation 2
    holds. A gradient norm is a mean over single images, and a spectral norm the factor that the constraint sets.
    Source: Lin et al. 2021, Figures 3, 14 and 15.
    """
    measured, reasons = measure_runs(tasks, lambda task: [_ratios(task, one) for one in checkpoints(task)])
    points: dict[str, list[dict[str, Any]]] = {}
    for _, moments in measured:
        for moment in moments:
            for pair, point in moment.items():
                points.setdefault(pair, []).append(point)
    (axes,) = panels(figure, 1, columns=1, width_inch=6, heights_inch=[4.6])
    for (pair, found), colour in zip(points.items(), shades(len(points)), strict=True):
        x, y = ([point[key] for point in found] for key in ("inverse_norm_ratio", "gradient_ratio"))
        axes.plot(x, y, color=colour, linestyle="", marker="o", markersize=3, alpha=0.8, label=pair)
    _draw_diagonal(axes)
    add_legend(figure, [axes])
    return {"points": points, "reasons": reasons, "spread": "a point for each kept checkpoint, factors and seed"}


def _ratios(task: Task, checkpoint: Checkpoint) -> dict[str, dict[str, Any]]:
    D, x, y = gradient_inputs(task.config, checkpoint)
    means, norms = image_gradient_norms(D, x, y), spectral_factors(D)
    if not all(math.isfinite(mean) and mean > 0 for mean in means):
        where = f"{task.preset} seed {task.seed}, step {checkpoint.step}"
        raise TrainError(f"{where}: a layer's gradient norm is 0 or not finite: it has no ratio")
    return {
        f"layer {number} / layer 1": {
            "row": task.row.label,
            "seed": task.seed,
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
