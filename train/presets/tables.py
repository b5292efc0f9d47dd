"""What a row of a paper's table, or a curve of a figure, is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

Values = dict[str, Any]


class Paper(NamedTuple):
    """A paper and the evaluation protocol of `train.evaluation.protocols` that its scores follow."""

    citation: str
    protocol: str


PAPERS = {
    "sngan": Paper(
        "Miyato et al. 2018, Spectral normalization for generative adversarial networks (arXiv 1802.05957)", "paper"
    ),
    "report": Paper(
        "Feng et al. 2019, ICLR reproducibility of SNGAN (COMP6248 challenge, University of Southampton)", "paper"
    ),
    "bssn": Paper("Lin et al. 2021, Why spectral normalization stabilizes GANs (arXiv 2009.02773)", "bsn"),
}


@dataclass(frozen=True, kw_only=True)
class Base:
    """What the rows of a group share: a preset that they extend.

    Args:
        name: preset name below its paper's, e.g. "base/cnn_cifar10".
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


@dataclass(frozen=True, init=False)
class Row:
    """One row of a table or one curve of a figure.

    Args:
        name: last part of its preset's name.
        label: the row as the paper writes it.
        base: what it extends; None where nothing is trained.
        values: what differs from the base; a later one wins.
        note: choices that the paper leaves open, and how they were made.
        absent: why the row has no preset, where it has none.
        reported: metric to the number as printed, "" where the paper only draws it; IS and FID are short forms.
    """

    name: str
    label: str
    base: Base | None
    values: Values
    reported: Mapping[str, str]
    note: str
    absent: str

    def __init__(
        self,
        name: str,
        label: str,
        base: Base | None = None,
        *values: Values,
        note: str = "",
        absent: str = "",
        **reported: str,
    ) -> None:
        numbers = {_METRICS.get(metric, metric): number for metric, number in reported.items()}
        settings = merged(*values)
        vars(self).update(
            name=name, label=label, base=base, values=settings, reported=numbers, note=note, absent=absent
        )


_METRICS = {"IS": "inception_score", "FID": "fid"}
NOT_TRAINED = "nothing is trained"  # real data


@dataclass(frozen=True)
class Table:
    """A table or figure of a paper.

    Args:
        key: name on the command line: the paper's in `PAPERS` and the table's, e.g. "sngan/table2".
        title: the paper's number for it, and what it shows.
        rows: its rows, in order.
        also: other tables and figures of the paper that the same runs make.
    """

    key: str
    title: str
    rows: Sequence[Row]
    also: tuple[str, ...] = ()

    @property
    def paper(self) -> str:
        """Name of its paper in `PAPERS`."""
        return self.key.split("/")[0]

    @property
    def name(self) -> str:
        """Name within its paper, e.g. "table2"."""
        return self.key.split("/")[1]

    @property
    def citation(self) -> str:
        """The paper in words."""
        return PAPERS[self.paper].citation

    @property
    def protocol(self) -> str:
        """Evaluation protocol of its scores."""
        return PAPERS[self.paper].protocol

    @property
    def metrics(self) -> tuple[str, ...]:
        """What it reports, in the order of its columns."""
        return tuple(dict.fromkeys(metric for row in self.rows for metric in row.reported))

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
