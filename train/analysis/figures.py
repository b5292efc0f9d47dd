"""Figures of one or several runs: learning curves, and the spectra of the discriminator's weights."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from train.analysis.measure import Curve, RunNumbers
from train.plotting import COLOURS, add_legend, count_images, escaped, panels, png, shades

LEARNING, SCORES, HEALTH = "learning_curves.png", "scores.png", "health.png"
GENERATORS = {"ema": "-", "generator": "--"}  # as the log names them, to the style of their lines
GENERATOR_WORDS = {"ema": "averaged G", "generator": "raw G"}
_MARKED = 40  # points up to which each one is marked
_NARROWEST = 0.002  # of the effective norms, the smallest range that a panel shows


class Drawn(NamedTuple):
    """A figure that was drawn.

    Args:
        name: of its PNG file.
        title: short.
        alt: what is to be seen, in words.
    """

    name: str
    title: str
    alt: str


def draw_figures(runs: Mapping[str, RunNumbers], out: Path) -> list[Drawn]:
    """Draw every figure that there are numbers for as a PNG file.

    A run has its colour in all of them, the one of its place in `COLOURS`; and a layer has its colour and mark.

    Args:
        runs: by label, at most as many as there are `COLOURS`.
        out: folder; made if missing.
    Raises:
        OSError: if one cannot be written.
    """
    names = sorted(_union(run.curves for run in runs.values()), key=lambda name: "/" not in name)  # speed last
    parts = {file: [name for name in names if _file_of(name) == file] for file in _CURVES}
    shown = {escaped(label): run for label, run in runs.items()}
    layers = layer_marks(runs.values())
    drawn = []
    for file, scalars in parts.items():
        if scalars:
            with png(out / file) as figure:
                drawn.append(_CURVES[file](figure, shown, scalars, file))
    for draw in (_singular_values, _spectral_norms):
        file = f"{draw.__name__.lstrip('_')}.png"
        with png(out / file) as figure:
            drawn.append(draw(figure, shown, layers, file))
    return drawn


def layer_marks(runs: Iterable[RunNumbers]) -> dict[str, dict[str, Any]]:
    """Return colour and marker of every layer of some runs, by name: dark to light in the network's order."""
    names = _union(kept.layers for run in runs for kept in run.spectral_norms)
    marks = zip(names, shades(len(names)), itertools.cycle("os^D"), strict=False)
    return {name: {"color": colour, "marker": marker} for name, colour, marker in marks}


def _file_of(scalar: str) -> str:
    part = scalar.partition("/")[0]
    return {"monitor": HEALTH, **dict.fromkeys(GENERATORS, SCORES)}.get(part, LEARNING)


def _learning_curves(figure: Figure, runs: Mapping[str, RunNumbers], names: Sequence[str], file: str) -> Drawn:
    grid = panels(figure, len(names), columns=3, width_inch=3.2)
    for axes, name in zip(grid, names, strict=True):
        for (label, run), colour in zip(runs.items(), COLOURS, strict=False):
            if name in run.curves:
                _draw_curve(axes, run.curves[name], label, colour)
        axes.set_title(title_of(name))
        axes.set_ylabel(_quantity(name))
        count_images(axes)
    add_legend(figure, grid)
    title = "Measured by the monitor" if file == HEALTH else "Learning curves"
    figure.suptitle(f"{title}: logged values (thin) and their running mean")
    return Drawn(file, title, f"{_panels(names)} over real images seen by D, a line for each run")


def _scores(figure: Figure, runs: Mapping[str, RunNumbers], names: Sequence[str], file: str) -> Drawn:
    scores = list(dict.fromkeys(name.partition("/")[2] for name in names))
    grid = panels(figure, len(scores), columns=3, width_inch=3.2)
    for axes, score in zip(grid, scores, strict=True):
        for (label, run), colour in zip(runs.items(), COLOURS, strict=False):
            for generator, style in GENERATORS.items():
                if curve := run.curves.get(f"{generator}/{score}"):
                    look: dict[str, Any] = {"color": colour, "linestyle": style, "marker": "."}
                    values = np.array(curve.values, dtype=float)
                    axes.plot(curve.images_seen, values, **look, label=f"{label}, {GENERATOR_WORDS[generator]}")
        axes.set_title(score.replace("_", " "))
        axes.set_ylabel("score")
        count_images(axes)
    add_legend(figure, grid)
    figure.suptitle("Scores during the run: of the averaged generator (lines), and of the raw one (dashes)")
    return Drawn(file, "Scores during the run", f"{_panels(scores)} over real images seen by D, two lines for each run")


def title_of(scalar: str) -> str:
    """Return the name of a logged scalar for people: d/score_real is D score real."""
    net, _, part = scalar.rpartition("/")
    net = net.upper() if len(net) == 1 else GENERATOR_WORDS.get(net, net)
    return f"{net} {part}".strip().replace("_", " ")


def _quantity(scalar: str) -> str:
    """Return what the vertical axis of a scalar shows, with its unit where it has one."""
    part = scalar.rpartition("/")[2]
    if part == "images_per_second":
        return "images/s"
    return "score" if part.startswith("score_") else part.replace("_", " ")


def _panels(names: Sequence[str]) -> str:
    return f"{len(names)} panels: {', '.join(map(title_of, names))}" if len(names) > 1 else title_of(names[0])


def _draw_curve(axes: Axes, curve: Curve, label: str, colour: str) -> None:
    values = np.array(curve.values, dtype=float)
    window = min(max(1, len(values) // 12), 50)
    axes.plot(curve.images_seen, values, color=colour, alpha=0.3, linewidth=0.7)
    # "valid": the mean starts and ends half a window inside, instead of being drawn towards zero at both ends.
    mean = np.convolve(values, np.full(window, 1 / window), mode="valid")
    first = (window - 1) // 2
    at = curve.images_seen[first : first + len(mean)]
    axes.plot(at, mean, color=colour, label=label, marker="" if len(mean) > 1 else ".")


def _singular_values(
    figure: Figure, runs: Mapping[str, RunNumbers], layers: Mapping[str, dict[str, Any]], file: str
) -> Drawn:
    names = _union(run.squared_singular_values for run in runs.values())
    grid = panels(figure, len(names), columns=4, width_inch=2.5)
    for axes, name in zip(grid, names, strict=True):
        for (label, run), colour in zip(runs.items(), COLOURS, strict=False):
            if values := run.squared_singular_values.get(name):
                style = {"color": colour, "marker": "." if len(values) <= _MARKED else ""}
                step = run.spectral_norms[-1].step
                axes.plot(range(1, len(values) + 1), values, **style, label=f"{label}, step {step:,}")
        axes.set_title(name)
        if name in layers:  # its mark in the figure of norms
            axes.plot(0.95, 0.93, **layers[name], markerfacecolor="none", transform=axes.transAxes)
        axes.set_xlabel("index of the singular value")
        axes.set_xlim(0.5, max(len(run.squared_singular_values.get(name, [])) for run in runs.values()) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
        axes.set_ylim(-0.03, 1.05)
    figure.supylabel("squared singular value / the layer's largest")
    add_legend(figure, grid)
    figure.suptitle("Squared singular values of the effective weights of D")
    shown = f"A panel for each of {len(names)} layers: squared singular values over the layer's largest, by their index"
    return Drawn(file, "Spectra of the layers of D", f"{shown}, a line for each run")


def _spectral_norms(
    figure: Figure, runs: Mapping[str, RunNumbers], layers: Mapping[str, dict[str, Any]], file: str
) -> Drawn:
    figure.set_size_inches(10, 0.8 + 3.0 * len(runs) + 0.18 * (-(-len(layers) // 4) + 1))
    grid = figure.subplots(len(runs), 2, squeeze=False)
    for (left, right), (label, run) in zip(grid, runs.items(), strict=True):
        _draw_norms(left, right, run, layers)
        left.set_title(f"{label}: effective weight, exact (open marks)")
        for axes in (left, right):
            axes.set_ylabel("spectral norm")
            axes.ticklabel_format(axis="y", useOffset=False)
            count_images(axes)
    add_legend(figure, list(grid.flat))
    figure.suptitle("Spectral norms of the layers of D at each kept checkpoint")
    shown = f"Two panels for each run, of its effective and its raw weights: spectral norms of {len(layers)} layers"
    return Drawn(
        file, "Spectral norms of the layers of D", f"{shown} over real images seen by D, a line for each layer"
    )


def _draw_norms(left: Axes, right: Axes, run: RunNumbers, layers: Mapping[str, dict[str, Any]]) -> None:
    images_seen = [kept.images_seen for kept in run.spectral_norms]
    estimated = False
    for name in run.spectral_norms[0].layers:
        norms = [kept.layers[name] for kept in run.spectral_norms]
        estimates = [norm.power_iteration for norm in norms if norm.power_iteration is not None]
        estimated |= bool(estimates)
        marks: dict[str, Any] = {**layers[name], "markerfacecolor": "none"}
        left.plot(images_seen, [norm.effective for norm in norms], **marks, label=name)
        right.plot(images_seen, [norm.raw for norm in norms], **marks, linestyle="" if estimates else "-")
        if estimates:
            right.plot(images_seen, estimates, color=marks["color"])
    right.set_title("raw weight, exact (open marks)" + (" and by power iteration (lines)" if estimated else ""))
    constraint = run.config.constraint
    if (constraint.kind, constraint.estimate, constraint.gamma) == ("spectral", "matrix", "none"):
        left.axhline(constraint.scale, color="black", linestyle="--", linewidth=1, label="by power iteration")
    low, high = left.get_ylim()
    middle = (low + high) / 2
    if high - low < _NARROWEST * middle:  # a difference in the eighth digit would fill the panel, as large as any
        left.set_ylim(middle * (1 - _NARROWEST / 2), middle * (1 + _NARROWEST / 2))


def _union(parts: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for part in parts for name in part))


_CURVES = {LEARNING: _learning_curves, SCORES: _scores, HEALTH: _learning_curves}
