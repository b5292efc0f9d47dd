"""One look for every figure the trainer draws: size, colours, grid, axis labels, legend, PNG file.

matplotlib is imported when the first figure is drawn: loading it takes half a second, which `--help` should not.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from train.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito 2008: told apart by readers with any common colour blindness.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_STYLE: dict[str, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,  # the grid, below bars and bands
    "grid.color": "#e6e6e6",
    "lines.linewidth": 1.4,
    "lines.markersize": 5,
    "legend.frameon": False,
    "figure.labelsize": 8,
    "savefig.dpi": 150,
}
_SPARE_INCH = 0.6  # for the title and the legend of a figure
_LETTER_INCH = 0.065  # width of a letter in a legend
_ASPECT = 0.72  # height of a panel over its width


@contextmanager
def png(path: Path) -> Iterator["Figure"]:
    """Give an empty figure, written to a PNG file when the block ends.

    pyplot is never loaded, so no display is needed and no figure outlives its block.

    Args:
        path: of the file; as it was, or missing, if the block raises.
    Yields:
        The figure. Draw on it inside the block: matplotlib reads the style when it makes each tick and line.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(layout="constrained")
        yield figure
        with atomic_write(path) as beside:
            # Without its version number: equal numbers give equal files under every matplotlib that draws them alike.
            figure.savefig(beside, format="png", metadata={"Software": None})


def panels(
    figure: "Figure",
    count: int,
    *,
    columns: int,
    width_inch: float,
    heights_inch: Sequence[float] | None = None,
    same_axes: bool = False,
) -> list["Axes"]:
    """Fill a figure with a grid of panels, row by row, and size it to fit.

    Args:
        figure: empty.
        count: number of panels, from 1.
        columns: panels side by side at most.
        width_inch: of a panel, its labels included.
        heights_inch: of each row likewise; None gives all the usual shape.
        same_axes: give all panels the same limits and scales; the first column alone shows those of the vertical axis.
    """
    columns = min(columns, count)
    rows = -(-count // columns)
    heights = heights_inch or [_ASPECT * width_inch] * rows
    figure.set_size_inches(width_inch * columns, _SPARE_INCH + sum(heights))
    grid = figure.subplots(rows, columns, height_ratios=heights, squeeze=False, sharex=same_axes, sharey=same_axes)
    made = list(grid.flat)
    for axes in made[count:]:
        axes.remove()
    for axes in made[:count]:
        axes.tick_params(labelbottom=True)  # sharing hides them above the last row, which may have gaps
    return made[:count]


def count_images(axes: "Axes") -> None:
    """Label the horizontal axis as the training progress: real images seen by D, 200k for 200,000."""
    from matplotlib.ticker import EngFormatter

    axes.set_xlabel("real images seen by D")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def escaped(text: str) -> str:
    """Return a text that matplotlib draws as the given one; unescaped, what stands between two $ is mathematics."""
    return text.replace("$", r"\$")


def shades(count: int) -> list[tuple[float, ...]]:
    """Return colours for an ordered series, dark to light: viridis keeps its order under any colour vision."""
    from matplotlib import colormaps

    viridis = colormaps["viridis"]
    return [viridis(0.93 * i / max(count - 1, 1)) for i in range(count)]  # the last 7 % are too pale on white


def add_legend(figure: "Figure", grid: Sequence["Axes"]) -> None:
    """Add one legend below all panels; an entry that several of them have appears once."""
    handles = {text: line for axes in grid for line, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    if handles:
        entry_inch = 0.5 + _LETTER_INCH * max(map(len, handles))
        columns = max(1, min(len(handles), 4, int(figure.get_size_inches()[0] / entry_inch)))
        figure.legend(handles.values(), handles, loc="outside lower center", ncols=columns)
