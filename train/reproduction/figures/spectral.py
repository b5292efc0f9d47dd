"""Spectral norms of D's convolutions over training (Miyato et al. 2018, Figure 9)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from train.analysis.measure import decompose
from train.errors import TrainError
from train.plotting import add_legend, panels
from train.reproduction.figures.kept import draw_layers, measure_kept
from train.reproduction.figures.reading import finite_discriminator
from train.reproduction.figures.scores import over_updates
from train.reproduction.task import Task
from train.run.checkpoint import Checkpoint

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def spectral_norms(figure: "Figure", tasks: Sequence[Task]) -> dict[str, Any]:
    """Draw the spectral norm of every convolution of D, normalised, over training: a panel for each row.

    Exact, of the (outputs, rest) matrix of the weight as it acts.

    Source: Miyato et al. 2018, Figure 9 and appendix C.1.
    """
    kept = measure_kept(tasks, _norms)
    grid = panels(figure, len(kept.rows), columns=3, width_inch=4 if len(kept.rows) == 1 else 3.2, same_axes=True)
    for axes, (label, row) in zip(grid, kept.rows.items(), strict=True):
        draw_layers(axes, row, kept.layers)
        axes.axhline(1, color="black", linestyle="--", linewidth=1)
        axes.set_title(label)
        axes.ticklabel_format(axis="y", useOffset=False)
        over_updates(axes)
    figure.supylabel("spectral norm of the normalised weight")
    add_legend(figure, grid)
    return kept.plain()


def _norms(task: Task, checkpoint: Checkpoint) -> dict[str, float]:
    layers, _ = decompose(finite_discriminator(task, checkpoint))
    norms = {name: norms.effective for name, norms in layers.items() if ".convs." in name}
    if not norms:
        raise TrainError(f"{task.preset}: D has no convolutions in a row; those of cnn, dcgan and mnist have")
    return norms
