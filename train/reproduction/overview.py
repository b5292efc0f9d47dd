"""What there is to reproduce: every table with its paper, its rows, the numbers reported and what a run costs."""

import textwrap
from collections.abc import Callable, Sequence

from train.config import TrainConfig
from train.presets.load import load_config
from train.presets.tables import Row, Table
from train.reproduction.figures.index import FIGURES

WIDTH = 120
DRAWN = "drawn"  # in a figure, without a printed number
Hours = Callable[[TrainConfig], float]


def print_overview(tables: Sequence[Table], hours: Hours | None = None) -> None:
    """Print rows below their tables, each as soon as its cost is known.

    Args:
        hours: estimates the training of a run; None leaves the column out.
    """
    for table in tables:
        print(f"\n{table.key}: {table.title}")
        _print_wrapped(table.paper.citation)
        if drawn := [figure.name for figure in FIGURES.values() if table.key in figure.rows]:
            _print_wrapped(f"figures drawn from these runs: {', '.join(drawn)}")
        _print_rows(table, hours)
        for reason in dict.fromkeys(row.absent for row in table.rows if row.absent):
            _print_wrapped(f"no run of {', '.join(row.name for row in table.rows if row.absent == reason)}: {reason}")


def _print_rows(table: Table, hours: Hours | None) -> None:
    lines = [["", *table.metrics], *([row.name, *_numbers(row, table.metrics)] for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    heads = ["G updates", "real images", *(["hours"] if hours else [])]
    for cells, row in zip(lines, (None, *table.rows), strict=True):
        left = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        cost = heads if row is None else _cost(table, row, hours)
        print(f"  {left}{''.join(f'{text:>13}' for text in cost)}", flush=True)


def _numbers(row: Row, metrics: Sequence[str]) -> list[str]:
    return [(row.reported[metric] or DRAWN) if metric in row.reported else "" for metric in metrics]


def _cost(table: Table, row: Row, hours: Hours | None) -> list[str]:
    if row.base is None:
        return ["-"] * (3 if hours else 2)
    config = load_config(table.preset(row))
    images = config.steps * config.d_updates_per_step * config.batch_total
    return [f"{config.steps:,}", f"{images:,}", *([f"{hours(config):,.1f}"] if hours else [])]


def _print_wrapped(text: str) -> None:
    print(textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="    "))
