"""A convolution's norm as an operator over its matrix's norm, with its bounds (Lin et al. 2021, Figures 20 and 21)."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sngan_cond import Discriminator
from sngan_cond.config import DiscriminatorConfig
from sngan_cond.constraints.views import OperatorView, input_shapes
from sngan_cond.constraints.weight_matrices import matrix_view, normalised_layers
from sngan_cond.fast.power_iteration import power_iteration
from train.errors import TrainError
from train.plotting import COLOURS, add_legend, panels
from train.reproduction.figures.kept import LINE, curve, measure_kept
from train.reproduction.figures.reading import finite_discriminator
from train.reproduction.figures.scores import over_updates
from train.reproduction.task import Task
from train.run.checkpoint import Checkpoint

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROUNDS = 50  # of power iteration between two looks at how much sigma has gained
MOST_ROUNDS = 10_000
GAIN = 1e-9  # of sigma over `ROUNDS`, relative, at which it has converged
COLUMNS = 4


class Bounds(NamedTuple):
    """Limits of a convolution's operator norm over its matrix's; the lower is None where there is none."""

    lower: float | None
    upper: float


def norm_ratios(figure: "Figure", tasks: Sequence[Task]) -> dict[str, Any]:
    """Draw the norm of every convolution of D as an operator over its matrix's, with bounds: a panel for each layer.

    Source: Lin et al. 2021, Figures 20 and 21 and appendix L.3.
    """
    kept = measure_kept(tasks, _ratios)
    config = next(task.config.discriminator for task in tasks if task.row.label in kept.rows)
    bounds = {name: ratio_bounds(layer, shape) for name, (layer, shape) in _convolutions(config).items()}
    grid = panels(figure, len(kept.layers), columns=COLUMNS, width_inch=2.6, same_axes=True)
    for number, (axes, name) in enumerate(zip(grid, kept.layers, strict=True), start=1):
        for (label, row), colour in zip(kept.rows.items(), COLOURS[1:], strict=False):
            axes.plot([moment.step for moment in row], curve(row, name), **LINE, color=colour, label=label)
        for bound in bounds[name]:
            if bound is not None:
                axes.axhline(bound, color="black", linestyle="--", linewidth=1, label="bound")
        axes.set_title(f"layer {number}")
        over_updates(axes)
    figure.supylabel("norm as an operator / norm of the matrix")
    add_legend(figure, grid)
    return {"bounds": {name: bound._asdict() for name, bound in bounds.items()}, **kept.plain()}


@torch.no_grad()
def _ratios(task: Task, checkpoint: Checkpoint) -> dict[str, float]:
    """Return for each convolution of a checkpoint's D its norm as an operator over that of its (outputs, rest) matrix.

    No factor on the weight changes them, so they are those of the raw weight.
    """
    convolutions = _convolutions(task.config.discriminator)
    D = finite_discriminator(task, checkpoint)
    ratios = {}
    for name, layer in normalised_layers(D):
        if name in convolutions:
            weight: Tensor = layer.weight
            norm = float(torch.linalg.matrix_norm(matrix_view(weight, 0), 2))
            ratios[name] = operator_norm(*convolutions[name], weight) / norm
    return ratios


def operator_norm(layer: nn.Module, input_shape: torch.Size, weight: Tensor) -> float:
    """Return the spectral norm of a convolution as a linear map of its input, by power iteration to convergence.

    Args:
        layer: whose stride, padding and dilation count; not its weight.
        input_shape: (1, C_in, H, W).
        weight: (C_out, C_in, kH, kW), float64.
    """
    matrix, rng = OperatorView(layer, input_shape).matrix(weight), torch.Generator().manual_seed(0)
    u = matrix.matmul(torch.randn(input_shape, generator=rng, dtype=weight.dtype))
    sigma = 0.0
    for _ in range(MOST_ROUNDS // ROUNDS):
        u, _, found = power_iteration(matrix, u, ROUNDS)
        gained, sigma = float(found) - sigma, float(found)
        if not gained > GAIN * sigma:  # also where it is not finite
            break
    return sigma


def ratio_bounds(layer: nn.Conv2d, input_shape: torch.Size) -> Bounds:
    """Return what bounds a convolution's norm as an operator over its matrix's, for any weight.

    The operator is the matrix on each window of the input. An input value is read by at most n windows, so cutting out
    windows lengthens no input by more than sqrt(n): the upper bound. A window that lies wholly inside the input can be
    the matrix's right singular vector: the lower bound of 1.

    Source: Tsuzuku et al. 2018, Corollary 1.

    Args:
        layer: a plain convolution.
        input_shape: (1, C_in, H, W) of its real input.
    """
    ones = torch.ones(1, 1, *input_shape[2:], dtype=torch.float64, requires_grad=True)
    kernel = torch.ones(1, 1, *layer.kernel_size, dtype=torch.float64)
    read = F.conv2d(ones, kernel, None, layer.stride, layer.padding, layer.dilation)  # values inside each window
    (windows,) = torch.autograd.grad(read.sum(), ones)  # that read each value
    return Bounds(1.0 if int(read.max()) == kernel.numel() else None, math.sqrt(float(windows.max())))


def _convolutions(config: DiscriminatorConfig) -> dict[str, tuple[nn.Conv2d, torch.Size]]:
    """Return D's convolutions, freshly drawn, with the shapes of their inputs.

    Raises:
        TrainError: if one pools or upsamples: the bounds are those of a convolution alone.
    """
    D = Discriminator(config)
    shapes = input_shapes(D)
    found = {name: (layer, shapes[name]) for name, layer in normalised_layers(D) if isinstance(layer, nn.Conv2d)}
    for name, (layer, _) in found.items():
        if getattr(layer, "pools", False) or getattr(layer, "upsamples", False):
            raise TrainError(
                f"architecture={config.architecture}: {name} pools or upsamples, and then the bounds are none; "
                "cnn, dcgan and mnist are allowed"
            )
    if not found:
        raise TrainError(f"architecture={config.architecture}: D has no convolutions")
    return found
