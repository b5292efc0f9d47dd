"""The figures by name, with the rows that they share."""

from collections.abc import Sequence
from dataclasses import replace

from train.presets.index import TABLES
from train.presets.tables import Row, Table
from train.reproduction.figures import bssn, bssn_layers, feng, sngan
from train.reproduction.figures.registry import PaperFigure
from train.reproduction.needs import Need


def _number(figure: PaperFigure) -> tuple[list[str], int]:
    return [figure.paper.name], int(figure.name.removeprefix("figure"))


_OF_PAPERS = (sngan.FIGURES, feng.FIGURES, (*bssn.FIGURES, *bssn_layers.FIGURES))
FIGURES = {figure.key: figure for figures in _OF_PAPERS for figure in sorted(figures, key=_number)}


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
