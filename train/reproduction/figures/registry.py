"""What a figure of a paper is: the runs that it needs, what is drawn of them, and how that is measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from train.presets.index import TABLES
from train.presets.tables import OfPaper, Row, Table
from train.reproduction.needs import Need

OVER_SEEDS = "mean over seeds; the bar or band is its standard error over seeds"


@dataclass(frozen=True, kw_only=True)
class PaperFigure(OfPaper):
    """A figure of a paper, as `python -m train.reproduce --figure KEY` draws it.

    Args:
        key: name of its paper and its number, e.g. "bssn/figure7".
        title: what the paper shows in it, in a line.
        rows: patterns of rows by the key of their table in `train.presets`: the runs that it is drawn from.
        needs: of these runs.
        kind: function that draws it, an entry of `drawing.KINDS`.
        options: keyword arguments of that function.
        draws: what is drawn, panel by panel.
        measured_by: how the numbers are measured, and what a band or a bar over them is.
    """

    key: str
    title: str
    rows: Mapping[str, Sequence[str]]
    needs: tuple[Need, ...] = ()
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    draws: str
    measured_by: str

    @property
    def runs(self) -> list[tuple[Table, Row]]:
        """Tables with their rows that it is drawn from, in the order of its patterns."""
        tables = {table.key: table for table in TABLES}
        return [
            (tables[key], row)
            for key, patterns in self.rows.items()
            for pattern in patterns
            for row in tables[key].rows
            if fnmatchcase(row.name, pattern)
        ]
