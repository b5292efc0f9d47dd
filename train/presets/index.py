"""Every table and figure that can be reproduced, and its rows as presets, by name."""

import functools
import textwrap
from typing import NamedTuple

from sngan_cond.validation import did_you_mean
from train.errors import TrainError
from train.presets import bssn, bssn_figures, feng, projection, sngan, sngan_figures
from train.presets.tables import Table, Values

_FILES = (sngan, sngan_figures, projection, feng, bssn, bssn_figures)
TABLES = tuple(found for file in _FILES for found in vars(file).values() if isinstance(found, Table))


def find_tables(name: str) -> tuple[Table, ...]:
    """Return the tables that a name on the command line means.

    Args:
        name: "all", a paper ("sngan"), a table ("sngan/table2"), or a part that only one table has ("table2"); tables
            and figures that another table's runs make count too.
    Raises:
        TrainError: if no table, or more than one, is meant.
    """
    if of_paper := tuple(table for table in TABLES if name in ("all", table.paper.name)):
        return of_paper
    found = [table for table in TABLES if name in (table.key, table.name)]
    found = found or [table for table in TABLES if name.removeprefix(f"{table.paper.name}/") in table.also]
    if not found:
        keys = [table.key for table in TABLES]
        hint = did_you_mean(name, [*keys, *(table.name for table in TABLES)], f"allowed are all, {', '.join(keys)}")
        raise TrainError(f"--table {name}: no such table; {hint}")
    if len(found) > 1:
        raise TrainError(f"--table {name}: several are called so: {', '.join(table.key for table in found)}")
    return tuple(found)


class TablePreset(NamedTuple):
    """A row of a table, or the base that rows share: what differs from the defaults, and lines about it for people."""

    name: str
    values: Values
    about: tuple[str, ...]


@functools.cache
def table_presets() -> dict[str, TablePreset]:
    """Return every row that is trained and every base, by preset name."""
    presets = {}
    for table in TABLES:
        paper = _entry("Paper", table.paper.citation)
        for row in table.rows:
            if (base := row.base) is None:
                continue
            data = f"Data:     python -m train.prepare {base.dataset.prepare} --out {base.dataset.path}"
            head = f"{base.title}; extended by the rows, no row itself."
            about = (head, *paper, *_entry("Source", base.source), data)
            presets[base.name] = TablePreset(base.name, base.values, about)
            name = table.preset(row)
            reported = ", ".join(f"{metric} {score or 'only drawn'}" for metric, score in row.reported.items())
            about = (
                *paper,
                *_entry("Table", table.title),
                *_entry("Row", row.label),
                *_entry("Source", base.source),
                *_entry("Reported", reported),
                *_entry("Open", row.note),
                data,
                f"Run:      accelerate launch -m train --preset {name} --run-dir runs/{name}",
            )
            presets[name] = TablePreset(name, row.values, about)
    return presets


def _entry(word: str, text: str) -> list[str]:
    return textwrap.wrap(text, 118, initial_indent=f"{word + ':':<10}", subsequent_indent=" " * 10)
