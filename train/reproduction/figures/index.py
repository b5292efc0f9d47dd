"""The figures by name, and every table and figure of the papers that has none, with the reason."""

from collections.abc import Sequence
from dataclasses import replace

from sngan_cond.validation import did_you_mean
from train.errors import TrainError
from train.presets.index import TABLES
from train.presets.tables import PAPERS, Row, Table
from train.reproduction.figures import bssn, bssn_layers, feng, sngan
from train.reproduction.figures.registry import PaperFigure
from train.reproduction.needs import Need


def _number(figure: PaperFigure) -> tuple[list[str], int]:
    return [figure.paper.name], int(figure.name.removeprefix("figure"))


_OF_PAPERS = (sngan.FIGURES, feng.FIGURES, (*bssn.FIGURES, *bssn_layers.FIGURES))
FIGURES = {figure.key: figure for figures in _OF_PAPERS for figure in sorted(figures, key=_number)}


def find_figures(name: str) -> tuple[PaperFigure, ...]:
    """Return the figures that a name on the command line means.

    Args:
        name: "all", a paper ("sngan"), a figure ("sngan/figure1"), or a part that only one figure has ("figure66").
    Raises:
        TrainError: if no figure, or more than one, is meant.
    """
    if name == "all" or name in PAPERS:
        return tuple(figure for figure in FIGURES.values() if name in ("all", figure.paper.name))
    found = [figure for figure in FIGURES.values() if name in (figure.key, figure.name)]
    if not found:
        names = [*FIGURES, *(figure.name for figure in FIGURES.values())]
        hint = did_you_mean(name, names, "--list names them")
        raise TrainError(f"--figure {name}: no such figure; {hint}")
    if len(found) > 1:
        raise TrainError(f"--figure {name}: several are called so: {', '.join(figure.key for figure in found)}")
    return tuple(found)


def tables_of(figures: Sequence[PaperFigure]) -> list[Table]:
    """Return the tables with those of their rows that figures are drawn from, each once."""
    rows = {(table.key, row.name) for figure in figures for table, row in figure.runs}
    chosen = [replace(t, rows=[row for row in t.rows if (t.key, row.name) in rows]) for t in TABLES]
    return [table for table in chosen if table.rows]


def whole_figures(tables: Sequence[Table]) -> list[PaperFigure]:
    """Return the figures that tables are named after and have all the rows of."""
    rows = {(table.key, row.name) for table in tables for row in table.rows}
    named = [FIGURES[table.key] for table in tables if table.key in FIGURES]
    return [figure for figure in named if all((table.key, row.name) in rows for table, row in figure.runs)]


def needs_of(table: Table, row: Row) -> frozenset[Need]:
    """Return what any figure needs of a row's runs, so that a run serves every table and figure."""
    return frozenset(
        need
        for figure in FIGURES.values()
        for need in figure.needs
        if any(found.key == table.key and one.name == row.name for found, one in figure.runs)
    )
