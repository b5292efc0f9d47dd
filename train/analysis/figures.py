"""Figures of one or several runs, drawn without a display."""

import io
import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from train.analysis.measure import Curve, RunNumbers

# Okabe and Ito 2008: told apart by readers with any common colour blindness.
RUN_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_STYLE: dict[str, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "lines.linewidth": 1.4,
    "lines.markersize": 5,
    "legend.frameon": False,
    "text.parse_math": False,  # a folder's name may hold a $
    "savefig.dpi": 150,
}
_MARKED = 40  # points up to which each one is marked


def draw_figures(runs: Mapping[str, RunNumbers]) -> dict[str, bytes]:
    """Draw every figure.

    Args:
        runs: by label, at most as many as there are `RUN_COLOURS`.
    Returns:
        PNG files by name without suffix.
    """
    drawings = {
        "learning_curves": _learning_curves,
        "singular_values": _singular_values,
        "spectral_norms": _spectral_norms,
    }
    images = {}
    with rc_context(_STYLE):
        for name, draw in drawings.items():
            buffer = io.BytesIO()
            draw(runs).savefig(buffer, format="png")
            images[name] = buffer.getvalue()
    return images


def _learning_curves(runs: Mapping[str, RunNumbers]) -> Figure:
    names = sorted(_union(run.curves for run in runs.values()), key=lambda name: "/" not in name)  # speed last
    figure, panels = _panels(len(names), columns=3, width_inch=3.2)
    for axes, name in zip(panels, names, strict=True):
        for (label, run), colour in zip(runs.items(), RUN_COLOURS, strict=False):
            if name in run.curves:
                _draw_curve(axes, run.curves[name], label, colour)
        net, _, part = name.rpartition("/")
        axes.set_title(f"{net.upper()} {part}".strip().replace("_", " "))
        axes.set_ylabel("images/s" if part == "images_per_second" else part.partition("_")[0])
        _count_images(axes)
    _add_legend(figure, panels)
    figure.suptitle("Learning curves: logged values (thin) and their running mean")
    return figure


def _draw_curve(axes: Axes, curve: Curve, label: str, colour: str) -> None:
    values = np.array(curve.values, dtype=float)
    window = min(max(1, len(values) // 12), 50)
    axes.plot(curve.images_seen, values, color=colour, alpha=0.3, linewidth=0.7)
    mean = np.convolve(values, np.full(window, 1 / window), mode="valid")
    first = (window - 1) // 2
    at = curve.images_seen[first : first + len(mean)]
    axes.plot(at, mean, color=colour, label=label, marker="" if len(mean) > 1 else ".")


def _singular_values(runs: Mapping[str, RunNumbers]) -> Figure:
    names = _union(run.spectra for run in runs.values())
    figure, panels = _panels(len(names), columns=4, width_inch=2.5)
    for axes, name in zip(panels, names, strict=True):
        for (label, run), colour in zip(runs.items(), RUN_COLOURS, strict=False):
            if values := run.spectra.get(name):
                style = {"color": colour, "marker": "." if len(values) <= _MARKED else ""}
                axes.plot(range(1, len(values) + 1), values, **style, label=f"{label}, step {run.norms[-1].step:,}")
        axes.set_title(name)
        axes.set_xlabel("index of the singular value")
        axes.set_xlim(0.5, max(len(run.spectra.get(name, [])) for run in runs.values()) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
        axes.set_ylim(-0.03, 1.05)
    figure.supylabel("squared singular value / the layer's largest", fontsize=_STYLE["font.size"])
    _add_legend(figure, panels)
    figure.suptitle("Squared singular values of the effective weights of D")
    return figure


def _spectral_norms(runs: Mapping[str, RunNumbers]) -> Figure:
    figure = Figure(figsize=(10, 0.5 + 3.2 * len(runs)), layout="constrained")
    for (left, right), (label, run) in zip(figure.subplots(len(runs), 2, squeeze=False), runs.items(), strict=True):
        _draw_norms(left, right, run)
        left.set_title(f"{label}: effective weight, exact (open marks)")
        left.legend(loc="center right", bbox_to_anchor=(-0.2, 0.5), fontsize=7)
        for axes in (left, right):
            axes.set_ylabel("spectral norm")
            axes.ticklabel_format(axis="y", useOffset=False)
            _count_images(axes)
    figure.suptitle("Spectral norms of the layers of D at each kept checkpoint")
    return figure


def _draw_norms(left: Axes, right: Axes, run: RunNumbers) -> None:
    images_seen = [kept.images_seen for kept in run.norms]
    names = list(run.norms[0].layers)
    estimated = False
    # From the first layer, dark, to the last: viridis rises in lightness for every eye.
    shades = colormaps["viridis"](np.linspace(0, 0.93, len(names)))
    for name, colour, marker in zip(names, shades, itertools.cycle("os^D"), strict=False):
        norms = [kept.layers[name] for kept in run.norms]
        estimates = [norm.power_iteration for norm in norms if norm.power_iteration is not None]
        estimated |= bool(estimates)
        marks: dict[str, Any] = {"color": colour, "marker": marker, "markerfacecolor": "none"}
        left.plot(images_seen, [norm.effective for norm in norms], **marks, label=name)
        right.plot(images_seen, [norm.raw for norm in norms], **marks, linestyle="" if estimates else "-")
        if estimates:
            right.plot(images_seen, estimates, color=colour)
    right.set_title("raw weight, exact (open marks)" + (" and by power iteration (lines)" if estimated else ""))
    constraint = run.config.constraint
    if (constraint.kind, constraint.estimate, constraint.gamma) == ("spectral", "matrix", "none"):
        left.axhline(constraint.scale, color="black", linestyle="--", linewidth=1, label="by power iteration")


def _panels(count: int, *, columns: int, width_inch: float) -> tuple[Figure, list[Axes]]:
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(width_inch * columns, 0.6 + 0.72 * width_inch * rows), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panels[count:]:
        axes.remove()
    return figure, panels[:count]


def _add_legend(figure: Figure, panels: list[Axes]) -> None:
    handles = {text: line for axes in panels for line, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=max(1, min(len(handles), 4)))


def _count_images(axes: Axes) -> None:
    axes.set_xlabel("real images seen by D")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _union(parts: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for part in parts for name in part))
