"""Figures of one or several runs: learning curves, and the spectra of the discriminator's weights."""

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from train.analysis.measure import Curve, RunNumbers
from train.plotting import COLOURS, add_legend, count_images, escaped, panels, png, shades

_MARKED = 40  # points up to which each one is marked


def draw_figures(runs: Mapping[str, RunNumbers], out: Path) -> list[str]:
    """Draw every figure as a PNG file.

    Args:
        runs: by label, at most as many as there are `COLOURS`.
        out: folder; made if missing.
    Returns:
        The files' names.
    Raises:
        OSError: if one cannot be written.
    """
    drawings = {
        "learning_curves.png": _learning_curves,
        "singular_values.png": _singular_values,
        "spectral_norms.png": _spectral_norms,
    }
    shown = {escaped(label): run for label, run in runs.items()}
    for name, draw in drawings.items():
        with png(out / name) as figure:
            draw(figure, shown)
    return list(drawings)


def _learning_curves(figure: Figure, runs: Mapping[str, RunNumbers]) -> None:
    names = sorted(_union(run.curves for run in runs.values()), key=lambda name: "/" not in name)  # speed last
    grid = panels(figure, len(names), columns=3, width_inch=3.2)
    for axes, name in zip(grid, names, strict=True):
        for (label, run), colour in zip(runs.items(), COLOURS, strict=False):
            if name in run.curves:
                _draw_curve(axes, run.curves[name], label, colour)
        net, _, part = name.rpartition("/")
        axes.set_title(f"{net.upper()} {part}".strip().replace("_", " "))
        axes.set_ylabel("images/s" if part == "images_per_second" else part.partition("_")[0])
        count_images(axes)
    add_legend(figure, grid)
    figure.suptitle("Learning curves: logged values (thin) and their running mean")


def _draw_curve(axes: Axes, curve: Curve, label: str, colour: str) -> None:
    values = np.array(curve.values, dtype=float)
    window = min(max(1, len(values) // 12), 50)
    axes.plot(curve.images_seen, values, color=colour, alpha=0.3, linewidth=0.7)
    # "valid": the mean starts and ends half a window inside, instead of being drawn towards zero at both ends.
    mean = np.convolve(values, np.full(window, 1 / window), mode="valid")
    first = (window - 1) // 2
    at = curve.images_seen[first : first + len(mean)]
    axes.plot(at, mean, color=colour, label=label, marker="" if len(mean) > 1 else ".")


def _singular_values(figure: Figure, runs: Mapping[str, RunNumbers]) -> None:
    names = _union(run.squared_singular_values for run in runs.values())
    grid = panels(figure, len(names), columns=4, width_inch=2.5)
    for axes, name in zip(grid, names, strict=True):
        for (label, run), colour in zip(runs.items(), COLOURS, strict=False):
            if values := run.squared_singular_values.get(name):
                style = {"color": colour, "marker": "." if len(values) <= _MARKED else ""}
                step = run.spectral_norms[-1].step
                axes.plot(range(1, len(values) + 1), values, **style, label=f"{label}, step {step:,}")
        axes.set_title(name)
        axes.set_xlabel("index of the singular value")
        axes.set_xlim(0.5, max(len(run.squared_singular_values.get(name, [])) for run in runs.values()) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
        axes.set_ylim(-0.03, 1.05)
    figure.supylabel("squared singular value / the layer's largest")
    add_legend(figure, grid)
    figure.suptitle("Squared singular values of the effective weights of D")


def _spectral_norms(figure: Figure, runs: Mapping[str, RunNumbers]) -> None:
    figure.set_size_inches(10, 0.5 + 3.2 * len(runs))
    for (left, right), (label, run) in zip(figure.subplots(len(runs), 2, squeeze=False), runs.items(), strict=True):
        _draw_norms(left, right, run)
        left.set_title(f"{label}: effective weight, exact (open marks)")
        left.legend(loc="center right", bbox_to_anchor=(-0.2, 0.5), fontsize=7)
        for axes in (left, right):
            axes.set_ylabel("spectral norm")
            axes.ticklabel_format(axis="y", useOffset=False)
            count_images(axes)
    figure.suptitle("Spectral norms of the layers of D at each kept checkpoint")


def _draw_norms(left: Axes, right: Axes, run: RunNumbers) -> None:
    images_seen = [kept.images_seen for kept in run.spectral_norms]
    names = list(run.spectral_norms[0].layers)
    estimated = False
    for name, colour, marker in zip(names, shades(len(names)), itertools.cycle("os^D"), strict=False):
        norms = [kept.layers[name] for kept in run.spectral_norms]
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


def _union(parts: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for part in parts for name in part))
