"""Numbers of a run: its logged scalars, and the singular values of its discriminator's weights."""

import copy
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from sngan_cond import Discriminator, build_constraint
from sngan_cond.constraints.spectral import spectral_layers
from sngan_cond.constraints.weight_matrices import matrix_view, normalised_layers, output_axis, raw_weight
from sngan_cond.hub.checkpoints import CHECKPOINTS_FOLDER
from sngan_cond.validation import one_line
from train.config import TrainConfig
from train.errors import TrainError
from train.presets.load import load_config
from train.run.checkpoint import Checkpoint, whole_checkpoints
from train.run.run import CONFIG_FILE
from train.run.scalars import SCALARS_FILE, log_lines

_NOT_PLOTTED = ("step", "images_seen", "seconds", "lr_g", "lr_d")


class NotFiniteError(TrainError):
    """Weights that have no singular values."""


@dataclass(frozen=True)
class Curve:
    """One logged quantity.

    Args:
        images_seen: real images shown to D when each value was logged.
        values: None where one was not finite.
    """

    images_seen: list[int]
    values: list[float | None]


@dataclass(frozen=True)
class LayerNorms:
    """Spectral norms of one layer's weight, seen as a (outputs, rest) matrix.

    Args:
        effective: exact, of the weight in the forward pass: normalised, times its gain (Miyato et al. 2018, figure 9).
        raw: exact, of the parameter that the optimiser updates.
        power_iteration: the estimate that the raw weight is divided by; None under a constraint without one.
    """

    effective: float
    raw: float
    power_iteration: float | None


@dataclass(frozen=True)
class CheckpointNorms:
    """Spectral norms of D in one checkpoint.

    Args:
        images_seen: real images shown to D.
        layers: by name, in the network's order.
    """

    step: int
    images_seen: int
    layers: dict[str, LayerNorms]


@dataclass(frozen=True)
class RunNumbers:
    """What the figures show of one run; all but the configuration goes to `analysis.json` as it stands.

    Args:
        curves: logged scalars by name, in the log's order.
        spectral_norms: one for each undamaged checkpoint that the run has kept, oldest first.
        squared_singular_values: of each effective weight in the newest checkpoint, largest first, divided by the
            largest (Miyato et al. 2018, figure 3).
    """

    config: TrainConfig
    curves: dict[str, Curve]
    spectral_norms: list[CheckpointNorms]
    squared_singular_values: dict[str, list[float]]


def measure_run(folder: Path, argument: str) -> RunNumbers:
    """Read a run's log and decompose its discriminator's weights.

    Args:
        folder: of the run; it may still be training.
        argument: flag of the command line that named the folder, for messages.
    Raises:
        TrainError: if there is no run, no whole checkpoint of finite weights or a damaged log.
    """
    if not (folder / CONFIG_FILE).is_file():
        raise TrainError(f"{argument} {folder}: no run there (it has no {CONFIG_FILE})")
    config = load_config(str(folder / CONFIG_FILE))
    scalars = folder / SCALARS_FILE
    curves = read_curves(scalars) if scalars.is_file() else {}
    if not curves:
        raise TrainError(f"{argument} {folder}: nothing is logged there yet (in {SCALARS_FILE})")
    norms: list[CheckpointNorms] = []
    spectra: dict[str, list[float]] = {}
    for checkpoint in whole_checkpoints(folder / CHECKPOINTS_FOLDER, _warn):
        try:
            layers, squared = decompose(load_discriminator(config, checkpoint).double())
        except (OSError, SafetensorError, NotFiniteError) as error:  # a run in progress removes its oldest checkpoints
            _warn(f"{checkpoint.folder}: checkpoint skipped ({one_line(error)})")
            continue
        norms.append(CheckpointNorms(checkpoint.step, checkpoint.state.images_seen, layers))
        spectra = spectra or {name: _scaled(values) for name, values in squared.items()}
    if not norms:
        raise TrainError(f"{argument} {folder}: no whole checkpoint there yet")
    return RunNumbers(config, curves, norms[::-1], spectra)


def load_discriminator(config: TrainConfig, checkpoint: Checkpoint) -> Discriminator:
    """Return a checkpoint's discriminator with its constraint attached, in eval mode.

    Raises:
        TrainError: if the checkpoint does not fit the configuration.
    """
    D = Discriminator(config.discriminator)
    build_constraint(config.constraint).attach(D)
    try:
        D.eval().load_state_dict(checkpoint.tensors("discriminator"))
    except RuntimeError as error:
        raise TrainError(f"{checkpoint.folder}: does not fit the run's {CONFIG_FILE}") from error
    return D


def read_curves(path: Path) -> dict[str, Curve]:
    """Read the logged scalars, of which a last one may still be being written.

    Raises:
        TrainError: naming the first damaged line.
    """
    curves: dict[str, Curve] = {}
    for number, (line, logged) in enumerate(log_lines(path), start=1):
        if logged is None:
            raise TrainError(
                f"{path}: line {number} is damaged: {line[:40]!r}; a JSON object with images_seen is allowed"
            )
        for name, value in logged.items():
            if name not in _NOT_PLOTTED and isinstance(value, float | int | None):
                curve = curves.setdefault(name, Curve([], []))
                curve.images_seen.append(logged["images_seen"])
                curve.values.append(value)
    for net in ("d", "g"):  # without classification and penalties the total is the loss: one curve is enough
        if f"{net}/total" in curves and curves[f"{net}/total"] == curves.get(f"{net}/loss"):
            del curves[f"{net}/total"]
    return curves


def check_finite(D: nn.Module) -> None:
    """Raise a NotFiniteError if a weight, or a vector of its power iteration, holds a value that is not finite."""
    for name, tensor in D.state_dict().items():
        if "weight" in name and not tensor.isfinite().all():
            raise NotFiniteError(f"{name} is not finite: it has no singular values")


@torch.no_grad()
def decompose(D: nn.Module) -> tuple[dict[str, LayerNorms], dict[str, Tensor]]:
    """Measure every layer that has a weight matrix, constrained or not.

    Args:
        D: in eval mode, best in float64; left as it was.
    Returns:
        Spectral norms by layer name; and by layer name squared singular values (n,) of the effective weight.
    Raises:
        NotFiniteError: if a weight has none.
    """
    check_finite(D)
    # A linear layer's power iteration advances at each access to its weight, even in eval mode: only the copy's may.
    used = copy.deepcopy(D)
    normalisations, norms, squared = dict(spectral_layers(D)), {}, {}
    for (name, layer), (_, twin) in zip(normalised_layers(D), normalised_layers(used), strict=True):
        axis, raw, effective = output_axis(layer), raw_weight(layer), twin.weight
        squared[name] = squared_singular_values(matrix_view(effective, axis))
        largest = squared_singular_values(matrix_view(raw, axis))[0]
        estimate = None
        if normalisation := normalisations.get(layer):  # what the next forward in eval mode divides the raw weight by
            estimate = float(raw.norm() / copy.deepcopy(normalisation)(raw).norm())
        norms[name] = LayerNorms(float(squared[name][0].sqrt()), float(largest.sqrt()), estimate)
    return norms, squared


def squared_singular_values(matrix: Tensor) -> Tensor:
    """Return the squared singular values (n,) of a float64 matrix, largest first.

    They are the eigenvalues of the smaller of W W^T and W^T W: a tenth of an SVD's time on wide layers. Their rounding
    errors are relative to the largest one, and so is every use of them here.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT
    ascending: Tensor = torch.linalg.eigvalsh(wide @ wide.mT)
    return ascending.flip(0).clamp(min=0)


def _scaled(values: Tensor) -> list[float]:
    """Divide by the first value, the largest; if it is 0, all stay 0."""
    return (values / values[0].clamp(min=torch.finfo(values.dtype).tiny)).tolist()


def _warn(line: str) -> None:
    print(f"warning: {line}", file=sys.stderr)
