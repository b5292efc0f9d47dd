"""What a row of a paper's table, or a curve of a figure, is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

Values = dict[str, Any]  # dotted keys of `TrainConfig`, as after `--set`, with their values


class Paper(NamedTuple):
    """A paper and the evaluation protocol of `train.evaluation.protocols` that its scores follow.

    Args:
        spread: what the paper's +- is.
    """

    name: str
    citation: str
    protocol: str
    spread: str


_PAPERS = (
    Paper(
        "sngan",
        "Miyato et al. 2018, Spectral normalization for generative adversarial networks (arXiv 1802.05957)",
        "paper",
        "standard deviation over ten sets of 5,000 images of one run (appendix B.1); of ResNets in Table 2 over runs "
        "of several seeds (footnote 5)",
    ),
    Paper(
        "projection",
        "Miyato and Koyama 2018, cGANs with projection discriminator (arXiv 1802.05637)",
        "paper",
        "not given here",
    ),
    Paper(
        "report",
        "Feng et al. 2019, ICLR reproducibility of SNGAN (COMP6248 challenge, University of Southampton)",
        "report",
        "not given",
    ),
    Paper(
        "bssn",
        "Lin et al. 2021, Why spectral normalization stabilizes GANs (arXiv 2009.02773)",
        "bsn",
        "standard error over runs of five seeds, three for SSN, BSN and BSSN on ImageNet (Tables 1 and 6)",
    ),
)
PAPERS = {paper.name: paper for paper in _PAPERS}


class Dataset(NamedTuple):
    """A data set as its images are prepared: the arguments of `train.prepare` without `--out`, which is the path."""

    prepare: str
    path: str
    resolution: int


class Base(NamedTuple):
    """What the rows of a group share: a preset that they extend.

    Args:
        name: of the preset, e.g. "sngan/base/cnn_cifar10".
        title: one line.
        source: where in the paper it is described.
        others: what differs from the defaults of `TrainConfig` beside resolution and path of the data.
    """

    name: str
    title: str
    source: str
    dataset: Dataset
    others: Values

    @property
    def values(self) -> Values:
        """What differs from the defaults, in all."""
        return {"resolution": self.dataset.resolution, "data.path": self.dataset.path, **self.others}


class Method(NamedTuple):
    """A way to constrain D that rows of several tables share.

    Args:
        label: the paper's name for it.
        values: what differs from spectral normalisation, the default of `TrainConfig`.
        note: what the paper leaves open about it, said of every row.
    """

    label: str
    values: Values
    note: str = ""


class Row(NamedTuple):
    """One row of a table or one curve of a figure, as `row` makes it; without a base, nothing is trained."""

    name: str
    label: str
    base: Base | None
    values: Values
    reported: Mapping[str, str]
    note: str
    absent: str
    real: Dataset | None = None


def row(
    name: str,
    label: str,
    base: Base | None = None,
    *parts: Values | Method,
    note: str = "",
    absent: str = "",
    real: Dataset | None = None,
    **reported: str,
) -> Row:
    """Describe a row.

    Args:
        name: last part of its preset's name.
        label: the row as the paper writes it.
        base: what it extends; None where nothing is trained.
        parts: what differs from the base; a later one wins.
        note: choices that the paper leaves open, and how they were made.
        absent: why nothing is measured, where there is neither a base nor real data.
        real: data set whose images are scored themselves, in a row of real data.
        reported: metric to the number as printed, "" where the paper only draws it; IS and FID are short forms.
    """
    settings: Values = {} if base is None else base.values
    for part in parts:
        settings |= part.values if isinstance(part, Method) else part
        note = f"{note} {part.note}".strip() if isinstance(part, Method) else note
    return Row(name, label, base, settings, _by_metric(reported), note, absent, real)


def _by_metric(reported: Mapping[str, str]) -> dict[str, str]:
    names = {"IS": "inception_score", "FID": "fid"}
    return {names.get(metric, metric): number for metric, number in reported.items()}


class Best(NamedTuple):
    """A line of a table that is the best of several rows, for each metric, as `best` makes it."""

    label: str
    rows: str
    reported: Mapping[str, str]


def best(label: str, rows: str, **reported: str) -> Best:
    """Describe such a line.

    Args:
        label: as the paper writes it.
        rows: pattern of the rows' names.
        reported: as for `row`.
    """
    return Best(label, rows, _by_metric(reported))


class OfPaper:
    """A table or figure of a paper, by its `key`: the paper's in `PAPERS` and its own, e.g. "sngan/table2"."""

    key: str

    @property
    def paper(self) -> Paper:
        """The paper that it is of."""
        return PAPERS[self.key.split("/")[0]]

    @property
    def name(self) -> str:
        """Name within its paper, e.g. "table2"."""
        return self.key.split("/")[1]


@dataclass(frozen=True)
class Table(OfPaper):
    """A table or figure of a paper.

    Args:
        key: name on the command line: the paper's in `PAPERS` and the table's, e.g. "sngan/table2".
        title: the paper's number for it, and what it shows.
        rows: its rows, in order.
        best: lines that are the best of rows.
    """

    key: str
    title: str
    rows: Sequence[Row]
    best: Sequence[Best] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """What it reports, in the order of its columns."""
        return tuple(dict.fromkeys(metric for row in self.rows for metric in row.reported))

    def preset(self, row: Row) -> str:
        """Return the preset name of a row."""
        return f"{self.key}/{row.name}"


def adam(lr: float, beta1: float, beta2: float, n_dis: int = 1) -> Values:
    """Return the settings of Adam, the same for both networks, and the number of D updates for each of G."""
    settings = {"lr": lr, "beta1": beta1, "beta2": beta2}
    both = {f"optim_{network}.{key}": value for network in "gd" for key, value in settings.items()}
    return {**both, "d_updates_per_step": n_dis}


def constraint(**settings: Any) -> Values:
    """Return settings of `sngan_cond.ConstraintConfig`, on D."""
    return {f"constraint.{key}": value for key, value in settings.items()}
