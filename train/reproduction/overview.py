"""What there is to reproduce: every table with its paper, its rows, the numbers reported and what a run costs."""

import textwrap
from collections.abc import Callable, Sequence
from itertools import groupby

from train.config import TrainConfig
from train.presets.load import load_config
from train.presets.tables import Row, Table

WIDTH = 120
DRAWN = "drawn"  # in a figure, without a printed number


def print_overview(rows: Sequence[tuple[Table, Row]], hours: Callable[[TrainConfig], float] | None = None) -> None:
    """Print rows below their tables, each as soon as its cost is known.

    Args:
        rows: the rows of a table one after another.
        hours: estimates the training of a run; None leaves the column out.
    """
    for _, group in groupby(rows, key=lambda pair: pair[0].key):
        of_table = list(group)
        table = of_table[0][0]
        _print_table(table, [row for _, row in of_table], hours)


def _print_table(table: Table, rows: list[Row], hours: Callable[[TrainConfig], float] | None) -> None:
    print(f"\n{table.key}: {table.title}")
    _print_wrapped(table.paper.citation)
    if table.also:
        _print_wrapped(f"the same runs make {', '.join(table.also)}")
    metrics = [metric for metric in table.metrics if any(metric in row.reported for row in rows)]
    texts = [[row.name, *(_reported(row, metric) for metric in metrics)] for row in rows]
    heads = ["", *metrics]
    widths = [max(map(len, column)) for column in zip(heads, *texts, strict=True)]
    last = ["G updates", "real images", *(["hours"] if hours else [])]
    print(_line(heads, widths, last))
    for row, cells in zip(rows, texts, strict=True):
        cost = ["-"] * len(last)
        if row.base is not None:
            config = load_config(table.preset(row))
            cost[:2] = f"{config.steps:,}", f"{config.steps * config.d_updates_per_step * config.batch_total:,}"
            if hours:
                cost[2] = f"{hours(config):,.1f}"
        print(_line(cells, widths, cost), flush=True)
    for reason in dict.fromkeys(row.absent for row in rows if row.absent):
        _print_wrapped(f"no run of {', '.join(row.name for row in rows if row.absent == reason)}: {reason}")


def _reported(row: Row, metric: str) -> str:
    return (row.reported[metric] or DRAWN) if metric in row.reported else ""


def _line(cells: Sequence[str], widths: Sequence[int], cost: Sequence[str]) -> str:
    left = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"  {left}{''.join(f'{text:>13}' for text in cost)}"


def _print_wrapped(text: str) -> None:
    print(textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="    "))
