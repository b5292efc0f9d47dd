"""Every table and figure of the papers: what its name draws or measures, or why it has none."""

import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from sngan_cond.validation import did_you_mean
from train.errors import TrainError
from train.presets.index import TABLES
from train.presets.tables import PAPERS
from train.reproduction.figures.index import FIGURES
from train.reproduction.figures.registry import PaperFigure

WIDTH = 120
_MEASURES = {
    "inception_score": "class score",
    "fid": "Frechet distance",
    "intra_fid": "Frechet distance within classes",
    "ms_ssim": "MS-SSIM within classes",
    "seconds_per_100_updates": "seconds",
    "spectral_norms": "spectral norms",
    "gradient_norms": "gradient norms",
    "gradient_ratios": "gradient ratios",
}


class Name(NamedTuple):
    """A table or figure of a paper.

    Args:
        key: e.g. "bssn/figure9".
        command: what makes it; "" where nothing does.
        what: what is drawn or measured, or why nothing is.
        measured_by: how.
    """

    key: str
    command: str
    what: str
    measured_by: str


def _networks(where: str, rows: str) -> str:
    return f"an architecture, nothing is measured: {where}, counted in tests/reference; trained by {rows}"


_CNN = _networks("sngan_cond/networks/cnn.py", "rows of bssn/table1, bssn/table6")
_MNIST = _networks("sngan_cond/networks/mnist.py", "bssn/figure2 and bssn/figure3")
_RESNET = _networks("sngan_cond/networks/resnet.py", "rows imagenet_* of bssn/table1")
WITHOUT = {
    "sngan/figure8": "a drawing of a residual block, nothing is measured: sngan_cond/networks/resnet.py is the block",
    "sngan/table1": "settings A to F, nothing is measured: they are the ends of the names of sngan/figure1's rows",
    "sngan/table3": _networks("sngan_cond/networks/cnn.py", "rows of sngan/figure1 and sngan/table2"),
    "sngan/table4": _networks("sngan_cond/networks/resnet.py", "rows cifar10_resnet_* of sngan/table2"),
    "sngan/table5": _networks("sngan_cond/networks/resnet.py", "rows stl10_resnet_* of sngan/table2"),
    "sngan/table6": _networks("sngan_cond/networks/resnet.py", "rows of sngan/figure5 and sngan/figure13"),
    "bssn/figure1": "a drawing of how sections of the paper are connected, nothing is measured",
    **dict.fromkeys(("bssn/table2", "bssn/table3"), _CNN),
    **dict.fromkeys(("bssn/table4", "bssn/table5"), _MNIST),
    "bssn/table7": "settings, nothing is measured: their numbers are the ends of the names of bssn/table6's rows",
    **dict.fromkeys((f"bssn/table{number}" for number in range(8, 14)), _RESNET),
}
# Miyato and Koyama 2018, cGANs with projection discriminator, gave the projection head and its run; of their figures
# this is the one that the project cites.
PROJECTION = (
    Name(
        "projection/figure8",
        "sngan-cond morph",
        "images from one class to another under one latent",
        "nothing: images of any model with classes",
    ),
)


def names() -> list[Name]:
    """Return every table and figure of Miyato et al. 2018, Feng et al. 2019 and Lin et al. 2021, and PROJECTION."""
    made = [Name(key, "", why, "") for key, why in WITHOUT.items()]
    for table in TABLES:
        if table.name.startswith("table"):
            measured = ", ".join(_MEASURES[metric] for metric in table.metrics)
            over = "mean and standard error over seeds, or the deviation over a single run's splits"
            made.append(Name(table.key, f"--table {table.key}", table.title, f"{measured} at the end of runs; {over}"))
    made += [
        Name(figure.key, f"--figure {figure.key}", figure.draws, figure.measured_by) for figure in FIGURES.values()
    ]
    return sorted([*made, *PROJECTION], key=_place)


def find_figures(asked: str) -> tuple[PaperFigure, ...]:
    """Return the figures that a name on the command line means.

    Args:
        asked: "all", a paper ("sngan"), a figure ("sngan/figure1"), or a part that only one figure has ("figure66").
    Raises:
        TrainError: if no figure, or more than one, is meant; of a table, or a figure that nothing draws, it says what
            there is instead.
    """
    found = [figure for figure in FIGURES.values() if asked in ("all", figure.paper.name, figure.key, figure.name)]
    if found and (asked in ("all", *PAPERS) or len(found) == 1):
        return tuple(found)
    if found:
        raise TrainError(f"--figure {asked}: several are called so: {', '.join(figure.key for figure in found)}")
    meant = [name for name in names() if asked in (*name.key.split("/"), name.key)]
    if not meant:
        known = [*FIGURES, *(figure.name for figure in FIGURES.values())]
        raise TrainError(f"--figure {asked}: no such figure; {did_you_mean(asked, known, '--list names them')}")
    said = [f"{name.key}: {f'made by {name.command}' if name.command else f'none: {name.what}'}" for name in meant]
    raise TrainError(f"--figure {asked}: no figure is drawn; {'; '.join(said)}")


def _place(name: Name) -> tuple[int, bool, int]:
    paper, what = name.key.split("/")
    return list(PAPERS).index(paper), what.startswith("table"), int(what.removeprefix("table").removeprefix("figure"))


def print_names(asked: str, figures: Sequence[PaperFigure]) -> None:
    """Print names, what they draw and by what it is measured: of all or a paper, every table and figure.

    Args:
        asked: the name on the command line.
        figures: that it means.
    """
    keys = {figure.key for figure in figures}
    shown = [name for name in names() if asked in ("all", name.key.split("/")[0]) or name.key in keys]
    for name in shown:
        title = f": {FIGURES[name.key].title}" if name.key in FIGURES else ""
        _print_wrapped(f"{name.key}{title}", 0)
        if not name.command:
            _print_wrapped(f"none: {name.what}", 2)
            continue
        by = f"by {name.command}; " if name.key not in FIGURES else ""
        _print_wrapped(f"{by}draws {name.what}" if title else f"{by}{name.what}", 2)
        _print_wrapped(f"measured by {name.measured_by}", 2)


def _print_wrapped(text: str, indent: int) -> None:
    print(textwrap.fill(text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2)))


def markdown() -> str:
    """Return the list as the table in docs/papers.md; names with the same words share a line."""
    lines = ["| name | draws | measured by |", "| --- | --- | --- |"]
    for _, group in groupby(names(), key=lambda name: (name.command == "", name.what, name.measured_by)):
        same = list(group)
        first = same[0]
        what = first.what if first.command else f"none: {first.what}"
        lines.append(f"| {_span([one.key for one in same])} | {what} | {first.measured_by} |")
    return "\n".join(lines)


def _span(keys: Sequence[str]) -> str:
    shown: Iterable[str] = keys if len(keys) < 3 else (keys[0], keys[-1])
    return (", " if len(keys) < 3 else " to ").join(f"`{key}`" for key in shown)
