"""Figures of the singular values of discriminators' weights: those of trained ones, and those that are possible."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from train.analysis.measure import decompose
from train.errors import TrainError
from train.plotting import COLOURS, add_legend, panels
from train.reproduction.figures.reading import best_task, finite_discriminator, joined, say
from train.reproduction.figures.scores import parts
from train.reproduction.task import Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIDE = 16  # of the random matrices of Figure 14
_DECAYS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)  # sigma_t of the weight before it is normalised falls as t to minus this


def singular_values(figure: "Figure", tasks: Sequence[Task], *, by: str = ", setting ") -> dict[str, Any]:
    """Draw D's squared singular values over the largest, a panel a data set and convolution, a line a method.

    Of each method and data set the run with the best score at its end is drawn.

    Source: Miyato et al. 2018, Figure 3 and section 4.1.1.
    """
    cases: dict[str, dict[str, list[Task]]] = {}
    for task in tasks:
        data = task.row.label.rpartition(", ")[2]
        cases.setdefault(data, {}).setdefault(parts(task, by)[0], []).append(task)
    drawn, reasons = [], []
    for data, methods in cases.items():
        for method, runs in methods.items():
            try:
                best, _ = best_task(runs, "inception_score")
                _, squared = decompose(finite_discriminator(best, best.checkpoint))
            except TrainError as error:
                reasons.append(str(error))
                continue
            layers = {name: (s / s[0].clamp(min=1e-300)).tolist() for name, s in squared.items() if ".convs." in name}
            drawn.append({"data": data, "method": method, "run": best.preset, "seed": best.seed, "layers": layers})
    if not drawn:
        raise TrainError(joined(reasons))
    columns = max(len(one["layers"]) for one in drawn)
    grid = panels(figure, columns * len(cases), columns=columns, width_inch=1.7)
    for number, axes in enumerate(grid):
        data, place = list(cases)[number // columns], number % columns
        shown = [one for one in drawn if one["data"] == data and place < len(one["layers"])]
        for one in shown:
            values = list(one["layers"].values())[place]
            colour = COLOURS[list(cases[data]).index(one["method"])]
            axes.plot(range(1, len(values) + 1), values, color=colour, label=one["method"])
        if not shown:
            say(axes, joined(reasons))
        axes.set_title(f"{data}, layer {place + 1}")
        axes.set_ylim(-0.03, 1.05)
        axes.set_xlabel("index" if number >= len(grid) - columns else "")
    figure.supylabel("squared singular value / the largest")
    add_legend(figure, grid)
    return {"lines": drawn, "reasons": reasons, "spread": "of each method the run with the best score at its end"}


def possible_singular_values(figure: "Figure", _: Sequence[Task]) -> dict[str, Any]:
    """Draw squared singular values, in increasing order, of one matrix after another normalised in both ways.

    Weight normalisation makes every row a unit vector (Miyato et al. 2018, equation 25), so that the squares sum to d_o
    (equation 27); over d_o they sum to 1. Spectral normalisation makes the largest 1 and leaves the others free.

    Source: Miyato et al. 2018, Figure 14.
    """
    (axes,) = panels(figure, 1, columns=1, width_inch=6)
    rng = np.random.default_rng(0)
    drawn = []
    for decay in _DECAYS:
        left, right = (np.linalg.qr(rng.standard_normal((_SIDE, _SIDE)))[0] for _ in range(2))
        weight = left * np.arange(1.0, _SIDE + 1) ** -decay @ right
        by_weight = weight / np.linalg.norm(weight, axis=1, keepdims=True) / np.sqrt(_SIDE)
        by_spectrum = weight / np.linalg.norm(weight, 2)
        for label, matrix, colour in (("SN", by_spectrum, COLOURS[1]), ("WN, over d_o", by_weight, COLOURS[0])):
            squared = np.linalg.svd(matrix, compute_uv=False)[::-1] ** 2
            axes.plot(range(1, _SIDE + 1), squared, color=colour, marker=".", label=label)
            drawn.append(
                {"decay": decay, "normalised": label, "squared": squared.tolist(), "sum": float(squared.sum())}
            )
    axes.set_xlabel(f"index of the singular value of {_SIDE} by {_SIDE} matrices")
    axes.set_ylabel("squared singular value")
    add_legend(figure, [axes])
    what = f"singular values before normalisation fall as t^-a, a = {', '.join(f'{decay:g}' for decay in _DECAYS)}"
    return {"sets": drawn, "reasons": [], "spread": what}
