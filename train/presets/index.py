"""Every table and figure that can be reproduced, and its rows as presets, by name."""

import functools
import textwrap
from typing import NamedTuple

from sngan_cond.validation import did_you_mean
from train.errors import TrainError
from train.presets import bssn_figures, bssn_scores, feng, sngan_figures, sngan_scores
from train.presets.tables import Base, Row, Table, Values, merged

TABLES: tuple[Table, ...] = (
    sngan_scores.FIGURE_1,
    sngan_scores.TABLE_2,
    sngan_figures.FIGURE_4,
    sngan_figures.FIGURE_5,
    sngan_figures.FIGURE_13,
    sngan_figures.FIGURE_9,
    sngan_figures.FIGURE_10,
    sngan_figures.FIGURE_11,
    sngan_figures.TABLE_7,
    sngan_figures.TABLE_8,
    feng.TABLE_1,
    bssn_scores.TABLE_1,
    bssn_scores.TABLE_6,
    bssn_figures.FIGURE_4,
    bssn_figures.FIGURE_6,
    bssn_figures.FIGURE_8,
    bssn_figures.FIGURE_3,
    bssn_figures.FIGURE_14,
    bssn_figures.FIGURE_15,
    bssn_figures.FIGURE_2,
    bssn_figures.FIGURE_13,
    bssn_figures.FIGURE_10,
)


def find_tables(name: str) -> tuple[Table, ...]:
    """Return the tables that a name on the command line means.

    Args:
        name: "all", a paper ("sngan"), a table ("sngan/table2"), or a part that only one table has ("table2"); tables
            and figures that another table's runs make count too.
    Raises:
        TrainError: if no table, or more than one, is meant.
    """
    if name == "all":
        return TABLES
    of_paper = tuple(table for table in TABLES if table.paper == name)
    if of_paper:
        return of_paper
    for found in ([t for t in TABLES if name in (t.key, t.name)], [t for t in TABLES if _makes(t, name)]):
        if len(found) == 1:
            return (found[0],)
        if found:
            raise TrainError(f"--table {name}: several are called so: {', '.join(table.key for table in found)}")
    names = [table.key for table in TABLES]
    hint = did_you_mean(name, [*names, *(table.name for table in TABLES)], f"allowed are all, {', '.join(names)}")
    raise TrainError(f"--table {name}: no such table; {hint}")


def _makes(table: Table, name: str) -> bool:
    return name in table.also or name in (f"{table.paper}/{other}" for other in table.also)


class TablePreset(NamedTuple):
    """A preset that a table makes: one of its rows, or the base that rows share.

    Args:
        name: e.g. "sngan/table2/cifar10_spectral_norm".
        values: what differs from the defaults of `TrainConfig`.
        about: its paper, table, row, reported numbers and notes, a line each.
    """

    name: str
    values: Values
    about: tuple[str, ...]


@functools.cache
def table_presets() -> dict[str, TablePreset]:
    """Return every row that is trained and every base, by preset name."""
    presets = []
    for table in TABLES:
        for row in table.rows:
            base = row.base
            if base is not None:
                name, values = table.preset(row), merged(base.values, row.values)
                presets += [
                    TablePreset(f"{table.paper}/{base.name}", base.values, _about_base(base, table)),
                    TablePreset(name, values, _about_row(row, base, table)),
                ]
    return {preset.name: preset for preset in presets}


def _about_base(base: Base, table: Table) -> tuple[str, ...]:
    return (
        f"{base.title}; extended by the rows, no row itself.",
        *_entry("Paper", table.citation),
        *_entry("Source", base.source),
        _data(base),
    )


def _about_row(row: Row, base: Base, table: Table) -> tuple[str, ...]:
    name = table.preset(row)
    reported = ", ".join(f"{metric} {score or 'only drawn'}" for metric, score in row.reported.items())
    return (
        *_entry("Paper", table.citation),
        *_entry("Table", table.title),
        *_entry("Row", row.label),
        *_entry("Reported", reported),
        *_entry("Open", row.note),
        _data(base),
        f"Run:      accelerate launch -m train --preset {name} --run-dir runs/{name}",
    )


def _data(base: Base) -> str:
    return f"Data:     python -m train.prepare {base.data} --out {base.data_path}"


def _entry(word: str, text: str) -> list[str]:
    return textwrap.wrap(text, 118, initial_indent=f"{word + ':':<10}", subsequent_indent=" " * 10)
