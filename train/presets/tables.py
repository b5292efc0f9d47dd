"""What a row of a paper's table, or a curve of a figure, is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Values = dict[str, Any]

MIYATO = "Miyato et al. 2018, Spectral normalization for generative adversarial networks (arXiv 1802.05957)"
FENG = "Feng et al. 2019, ICLR reproducibility of SNGAN (COMP6248 challenge, University of Southampton)"
LIN = "Lin et al. 2021, Why spectral normalization stabilizes GANs (arXiv 2009.02773)"


@dataclass(frozen=True, kw_only=True)
class Base:
    """What the rows of a group share: a preset that they extend.

    Args:
        name: preset name below its paper's folder, e.g. "base/cnn_cifar10".
        title: what it is, one line.
        source: where in the paper it is described.
        data: the `train.prepare` command for its data, without `--out`.
        values: what differs from the defaults of `TrainConfig`.
    """

    name: str
    title: str
    source: str
    data: str
    values: Values

    @property
    def data_path(self) -> str:
        """Folder of the prepared data set."""
        return str(self.values["data"]["path"])


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a table or one curve of a figure.

    Args:
        name: file name of its preset.
        label: the row as the paper writes it.
        base: what it extends; None where nothing is trained.
        values: what differs from the base.
        reported: metric to the number as printed, "" where the paper only draws it.
        note: choices that the paper leaves open, and how they were made.
        absent: why the row has no preset, where it has none.
    """

    name: str
    label: str
    base: Base | None = None
    values: Values = field(default_factory=dict)
    reported: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    absent: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table or figure of a paper.

    Args:
        paper: folder of the paper's presets: "sngan", "report" or "bssn".
        citation: the paper.
        name: folder of the table, e.g. "table2".
        title: the paper's number for it, and what it shows.
        metrics: what it reports, in the order of its columns.
        protocol: evaluation protocol of `train.evaluation.protocols`.
        rows: its rows, in order.
        also: other tables and figures of the paper that the same runs make.
    """

    paper: str
    citation: str
    name: str
    title: str
    metrics: tuple[str, ...]
    protocol: str
    rows: tuple[Row, ...]
    also: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Name on the command line, e.g. "sngan/table2"."""
        return f"{self.paper}/{self.name}"

    def preset(self, row: Row) -> str:
        """Return the preset name of a row."""
        return f"{self.key}/{row.name}"


# The papers score the generator itself; a decay of 0 makes the average that is saved a copy of it.
NO_AVERAGE: Values = {"decay": 0.0}


def adam(lr: float, beta1: float, beta2: float) -> Values:
    """Return the settings of one Adam optimiser."""
    return {"lr": lr, "beta1": beta1, "beta2": beta2}


def both(optimiser: Values) -> Values:
    """Return the same optimiser for both networks."""
    return {"optim_g": dict(optimiser), "optim_d": dict(optimiser)}


def merged(*parts: Values) -> Values:
    """Join nested settings; a later part wins."""
    result: Values = {}
    for part in parts:
        for key, value in part.items():
            old = result.get(key)
            result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result
