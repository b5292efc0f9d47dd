"""Variances of D's weights during training: with their bounds, against the scale and against the score (Lin et al.)."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

from sngan_cond import Discriminator
from sngan_cond.constraints.config import ConstraintConfig
from sngan_cond.constraints.weight_matrices import normalised_layers, output_axis, raw_weight
from train.analysis.measure import load_discriminator
from train.errors import TrainError
from train.plotting import COLOURS, add_legend, panels
from train.reproduction.figures.intervals import Kind, one_kind, score_curve
from train.reproduction.figures.kept import LINE, curve, draw_layers, measure_kept, measure_runs
from train.reproduction.figures.reading import checkpoints
from train.reproduction.figures.scores import over_updates
from train.reproduction.gradients import spectral_factors
from train.reproduction.task import Task
from train.run.checkpoint import Checkpoint

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOG_PRODUCT = "ln of the product of the layers' variances"
COLUMNS = 4
_MARKERS = "os^Dv<>"


def variances_with_bounds(figure: "Figure", tasks: Sequence[Task]) -> dict[str, Any]:
    """Draw the variance of every layer's weight over training with its upper bound: a panel for each layer.

    Source: Lin et al. 2021, Figure 7 with equation 3; `variance_bounds`.
    """
    kept = measure_kept(tasks, _variances)
    bounds = {}
    for task in tasks:  # one of every row that was measured
        if task.row.label in kept.rows and task.row.label not in bounds:
            bounds[task.row.label] = variance_bounds(load_discriminator(task.config, checkpoints(task)[-1]))
    grid = panels(figure, len(kept.layers), columns=COLUMNS, width_inch=2.6, same_axes=True)
    for number, (axes, name) in enumerate(zip(grid, kept.layers, strict=True), start=1):
        for (label, row), colour in zip(kept.rows.items(), COLOURS, strict=False):
            axes.plot([moment.step for moment in row], curve(row, name), **LINE, color=colour, label=label)
            if (bound := bounds[label].get(name)) is not None:
                style: dict[str, Any] = {"color": colour, "linestyle": "--", "linewidth": 1}
                axes.axhline(bound, **style, label=f"upper bound of {label}")
        axes.set_title(f"layer {number}")
        over_updates(axes)
    grid[0].set_yscale("log")
    figure.supylabel("variance of the weight")
    add_legend(figure, grid)
    return {"bounds": bounds, **kept.plain()}


def variance_curves(figure: "Figure", tasks: Sequence[Task]) -> dict[str, Any]:
    """Draw the variance of every layer's weight over training, a panel for each row.

    Source: Lin et al. 2021, Figures 16 and 17.
    """
    kept = measure_kept(tasks, _variances)
    grid = panels(figure, len(kept.rows), columns=3, width_inch=4 if len(kept.rows) == 1 else 3.2, same_axes=True)
    for axes, (label, row) in zip(grid, kept.rows.items(), strict=True):
        draw_layers(axes, row, kept.layers)
        axes.set_title(label)
        over_updates(axes)
    grid[0].set_yscale("log")
    figure.supylabel("variance of the weight")
    add_legend(figure, grid)
    return kept.plain()


def variance_against_scale(figure: "Figure", tasks: Sequence[Task]) -> dict[str, Any]:
    """Draw the product of all layers' variances at the end of training against the scale, a line for each SN.

    Source: Lin et al. 2021, Figure 22.
    """
    measured, reasons = measure_runs(tasks, _log_product_at_the_end)
    lines: dict[str, dict[float, list[float]]] = {}
    for task, value in measured:
        family, scale = _family(task.config.constraint)
        lines.setdefault(family, {}).setdefault(scale, []).append(value)
    (axes,) = panels(figure, 1, columns=1, width_inch=5)
    points = {}
    for (family, found), colour, marker in zip(lines.items(), COLOURS, _MARKERS, strict=False):
        points[family] = [
            {"scale": scale, "log_product": sum(values) / len(values), "seeds": len(values)}
            for scale, values in sorted(found.items())
        ]
        x, y = ([point[key] for point in points[family]] for key in ("scale", "log_product"))
        axes.plot(x, y, color=colour, marker=marker, label=family)
    axes.set_xlabel("scale")
    axes.set_ylabel(LOG_PRODUCT)
    add_legend(figure, [axes])
    spread = "means over seeds" if len(measured) > sum(map(len, points.values())) else "one seed"
    return {"points": points, "reasons": reasons, "spread": spread}


def score_against_variance(figure: "Figure", tasks: Sequence[Task], *, metric: str) -> dict[str, Any]:
    """Draw a point for each run at its best score during training: the score against the product of variances there.

    Its scale stands beside it. The variances are those of the kept checkpoint nearest to that score's step.

    Args:
        metric: of the tables; the more, the better.
    Source: Lin et al. 2021, Figure 23.
    """
    measured, reasons = measure_runs(tasks, lambda task: _best(task, metric))
    kind = one_kind(kind for _, (kind, _) in measured)
    points: dict[str, list[dict[str, Any]]] = {}
    for task, (_, point) in measured:
        points.setdefault(_family(task.config.constraint)[0], []).append(point)
    (axes,) = panels(figure, 1, columns=1, width_inch=6.5)
    for (family, found), colour, marker in zip(points.items(), COLOURS, _MARKERS, strict=False):
        x, y = ([point[key] for point in found] for key in ("log_product", "score"))
        axes.plot(x, y, linestyle="", color=colour, marker=marker, label=family)
        for point in found:
            at = (point["log_product"], point["score"])
            axes.annotate(f"{point['scale']:g}", at, (4, 3), textcoords="offset points", fontsize=7)
    axes.set_xlabel(LOG_PRODUCT)
    axes.set_ylabel(kind.label(best=True))
    add_legend(figure, [axes])
    return {"scored": kind._asdict(), "points": points, "reasons": reasons, "spread": "a point for each run"}


def _best(task: Task, metric: str) -> tuple[Kind, dict[str, Any]]:
    scores = score_curve(task, metric)
    finite = [(step, value) for step, value in zip(scores.steps, scores.values, strict=True) if math.isfinite(value)]
    if not finite:
        raise TrainError(f"{task.preset} seed {task.seed}: no {scores.kind.name} during training is finite")
    step, score = max(finite, key=lambda at: at[1])
    kept = min(checkpoints(task), key=lambda one: abs(one.step - step))
    return scores.kind, {
        "row": task.row.label,
        "seed": task.seed,
        "scale": _family(task.config.constraint)[1],
        "score": score,
        "step": step,
        "log_product": _log_product(task, kept),
        "variance_step": kept.step,
    }


def _family(constraint: ConstraintConfig) -> tuple[str, float]:
    """Return the name of a way to scale weights, and the scale."""
    if constraint.kind == "spectral":
        names = {"matrix": "SN_w", "operator": "SN_Conv", "bidirectional": "BSN"}
        return names[constraint.estimate], constraint.scale
    if constraint.init == "lecun":
        return "LeCun initialisation", constraint.init_scale
    raise TrainError(f"constraint.kind={constraint.kind}, init={constraint.init}: spectral or lecun have a scale")


def _log_product_at_the_end(task: Task) -> float:
    newest = checkpoints(task)[-1]
    if newest.step < task.config.steps:
        run = f"{task.preset} seed {task.seed}"
        raise TrainError(f"{run}: its newest checkpoint is of step {newest.step:,} of {task.config.steps:,}")
    return _log_product(task, newest)


def _log_product(task: Task, checkpoint: Checkpoint) -> float:
    variances = _variances(task, checkpoint).values()
    if not all(math.isfinite(variance) and variance > 0 for variance in variances):
        where = f"{task.preset} seed {task.seed}, step {checkpoint.step}"
        raise TrainError(f"{where}: a weight's variance is 0 or not finite: the product has no logarithm")
    return math.fsum(map(math.log, variances))


def _variances(task: Task, checkpoint: Checkpoint) -> Mapping[str, float]:
    return weight_variances(load_discriminator(task.config, checkpoint).double())


def weight_variances(D: Discriminator) -> dict[str, float]:
    """Return the variance of the entries of every layer's weight, as it acts.

    Args:
        D: in eval mode.
    """
    return {name: float(layer.weight.detach().var(correction=0)) for name, layer in normalised_layers(D)}


def variance_bounds(D: Discriminator) -> dict[str, float | None]:
    """Return an upper bound of the variance of every layer's weight, as it acts; None where its constraint sets none.

    A weight of norm sigma as an (m, n) matrix has squared entries of mean |W|_F^2 / (m n) <= sigma^2 / max(m, n): this
    is Theorem 2, equation 3, and holds of every single matrix, trained or not. The norm as an operator is at least the
    matrix's if a window lies wholly inside the input, so the bound is SN_Conv's too.

    Theorem 3 prints 2 / (k^2 (c_in + c_out)) for the mean of both views' norms. Its proof in appendix G gets there only
    where c_in = c_out; what holds of every kernel is 4 / (k^2 (sqrt(c_in) + sqrt(c_out))^2), which is the same there
    and above it elsewhere. The latter is returned.

    Sigma is the factor that the constraint sets, so where power iteration falls short of the norm, a variance may be
    above its bound by the square of what is missing.

    Args:
        D: with the constraint attached.
    Source: Lin et al. 2021, Theorems 2 and 3, appendices F and G; here each times the squared scale (section 5.2).
    """
    constraint = D.constraint
    if constraint.kind != "spectral" or constraint.gamma != "none":
        return {name: None for name, _ in normalised_layers(D)}
    bounds: dict[str, float | None] = {}
    for (name, layer), factor in zip(normalised_layers(D), spectral_factors(D), strict=True):
        pools = getattr(layer, "pools", False) or getattr(layer, "upsamples", False)  # as a part of the operator
        is_free = name in constraint.exclude or (constraint.estimate == "operator" and pools)
        bounds[name] = None if is_free else factor**2 * _bound(layer, constraint.estimate)
    return bounds


def _bound(layer: nn.Module, estimate: str) -> float:
    weight, axis = raw_weight(layer), output_axis(layer)
    outputs, total = weight.shape[axis], weight.numel()
    if estimate != "bidirectional" or weight.ndim == 2:
        return 1 / max(outputs, total // outputs)
    ranks = [min(rows, total // rows) for rows in (outputs, weight.shape[1 - axis])]
    # |W|_F <= sqrt(rank) times the norm of a view, for both of them.
    return 4 / total / float(sum(rank**-0.5 for rank in ranks)) ** 2
