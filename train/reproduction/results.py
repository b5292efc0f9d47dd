"""The result of a table: beside every number of the paper, what was measured and how much of the run was made."""

import json
import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pydantic

from train.files import write_text_atomically
from train.plotting import COLOURS, panels, png
from train.presets.tables import Row, Table
from train.reproduction.measures import Measured
from train.reproduction.task import Budget
from train.stored import STRICT

STOPPED = "stopped"
OVER_SPLITS = "standard deviation over the splits of the images, n = 1"
LOWEST_IS_BEST = ("fid",)
Cell = dict[str, Any]


@pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=STRICT)
class Result:
    """What one run of a row gave, as its `result.json` holds it.

    Args:
        request: what the result depends on.
        steps: that were trained, 0 for a run that failed or was stopped.
        measured: numbers by metric of the table.
        reasons: why there is no number, by metric; under "run" why there is none at all.
    """

    seed: int
    request: dict[str, Any]
    steps: int = 0
    measured: dict[str, list[Measured]]
    reasons: dict[str, str]

    @property
    def is_stopped(self) -> bool:
        """Whether the run was asked to stop before its end."""
        return self.reasons.get("run") == STOPPED


def cells(table: Table, row: Row, budget: Budget, results: Sequence[Result]) -> list[Cell]:
    """Return the cells of a row: one for every number that the paper reports.

    Args:
        results: of the runs that were made, in any order.
    Returns:
        {"preset", "row", "metric", "paper", "measured": list of {"name", "mean", "error", "n", "protocol",
        "extractor"}, "status", "reason"}; a cell without a number has a reason.
    """
    done = sum(result.steps > 0 for result in results)
    spent = budget.status_of(row)
    status = spent if done == budget.seeds else f"{spent}; {done} of {budget.seeds} runs"
    if row.real:
        done, status = len(results), "smoke" if budget.name == "smoke" else "real data"
    made = []
    for metric, number in row.reported.items():
        measured = _over_runs([one for result in results for one in result.measured.get(metric, [])])
        reasons = [result.reasons.get(metric) or result.reasons.get("run") for result in results]
        reason = row.absent or "; ".join(dict.fromkeys(filter(None, reasons))) or "not asked for"
        made.append(
            {
                "preset": table.preset(row) if row.base is not None else None,
                "row": row.label,
                "metric": metric,
                "paper": number or "drawn, not printed",
                "measured": measured,
                "status": status if done else "not run",
                "reason": "" if measured else reason,
            }
        )
    return made


def best_cells(table: Table, made: Sequence[Cell]) -> list[Cell]:
    """Return the cells of the table's lines that are the best of several rows.

    The rule: of the rows that were measured, the one with the best mean over its runs, highest but for the FID, for
    each metric alone.

    Args:
        made: the cells of the rows.
    Returns:
        As of `cells`, with "chosen": the row and of how many.
    """
    found = []
    for line in table.best:
        names = {row.label for row in table.rows if fnmatchcase(row.name, line.rows)}
        for metric, number in line.reported.items():
            of_rows = [cell for cell in made if cell["row"] in names and cell["metric"] == metric]
            if not of_rows:
                continue  # they were not asked for
            measured = [cell for cell in of_rows if cell["measured"]]
            sign = -1 if metric in LOWEST_IS_BEST else 1
            best = max(measured or of_rows, key=lambda cell: sign * cell["measured"][0]["mean"] if measured else 0)
            chosen = f"{best['row']}, of {len(measured)} of {len(names)} rows" if measured else ""
            found.append({**best, "row": f"{line.label}: best", "paper": number, "chosen": chosen})
    return found


def _over_runs(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """Return the mean over runs of every number by its name, its error and what that is.

    The error is the standard error of the mean over runs; of a single run, the deviation over the splits of its images
    where there is one, else None.
    """
    by_name: dict[str, list[Measured]] = {}
    for one in measured:
        by_name.setdefault(one.name, []).append(one)
    numbers = []
    for name, found in by_name.items():
        values, n = [one.value for one in found], len(found)
        mean = sum(values) / n
        error = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1) / n) if n > 1 else found[0].deviation
        what = f"standard error over {n} seeds" if n > 1 else OVER_SPLITS if error is not None else None
        same = {"protocol": found[0].protocol, "extractor": found[0].extractor}
        numbers.append({"name": name, "mean": mean, "error": error, "error_is": what, "n": n, **same})
    return numbers


def write_results(
    folder: Path, tables: Sequence[Table], budget: Budget, results: Mapping[str, Sequence[Result]]
) -> list[tuple[Table, list[Cell]]]:
    """Write `table.json` and `table.md` to a folder.

    Args:
        results: of the runs that were made, by preset.
    Returns:
        The tables with their cells.
    """
    made = []
    for table in tables:
        of_rows = [cell for row in table.rows for cell in cells(table, row, budget, results.get(table.preset(row), ()))]
        made.append((table, [*of_rows, *best_cells(table, of_rows)]))
    facts = {
        "budget": budget.name,
        "percent": budget.percent if budget.name == "short" else None,
        "seeds": budget.seeds,
        "overrides": list(budget.overrides),
    }
    plain = {"budget": facts, "tables": [{"table": t.key, "title": t.title, "cells": found} for t, found in made]}
    write_text_atomically(folder / "table.json", json.dumps(plain, indent=2, ensure_ascii=False) + "\n")
    write_text_atomically(folder / "table.md", _markdown(made, budget))
    return made


def _markdown(made: Sequence[tuple[Table, list[Cell]]], budget: Budget) -> str:
    extra = f", with {' '.join(budget.overrides)}" if budget.overrides else ""
    lines = [
        "# Reproduction",
        "",
        f"Budget {budget.name}, seeds {budget.seeds}{extra}. Measured: mean over runs, and what ± is in brackets.",
        "A score carries its extractor's name: only `inception_score` and `fid` may be held against the paper's.",
    ]
    for table, found in made:
        lines += [
            "",
            f"## {table.key}",
            "",
            f"{table.paper.citation}.",
            f"{table.title}.",
            f"± of the paper: {table.paper.spread}.",
            "",
        ]
        lines += ["| row | metric | paper | measured | status |", "| --- | --- | --- | --- | --- |"]
        for cell in found:
            numbers = "<br>".join(_number(number) for number in cell["measured"]) or cell["reason"]
            numbers += f"<br>{cell['chosen']}" if cell.get("chosen") else ""
            row = cell["row"].replace("|", "/")
            lines.append(f"| {row} | {cell['metric']} | {cell['paper']} | {numbers} | {cell['status']} |")
    return "\n".join(lines) + "\n"


def _number(number: Mapping[str, Any]) -> str:
    error = "" if number["error"] is None else f" ± {number['error']:.2g}"
    return f"{number['name']} {number['mean']:.4g}{error} ({number['error_is'] or 'n = 1'}; {number['protocol']})"


def plot_results(path: Path, made: Sequence[tuple[Table, list[Cell]]]) -> None:
    """Draw every measured number with its error bar, one panel for each name: names never share an axis.

    Nothing is written where nothing was measured.
    """
    by_name: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for table, found in made:
        for cell in found:
            for number in cell["measured"]:
                by_name.setdefault(f"{table.key}: {number['name']}", []).append((cell["row"], number))
    if not by_name:
        return
    heights = [0.7 + 0.2 * len(points) for points in by_name.values()]
    with png(path) as figure:
        grid = panels(figure, len(by_name), columns=1, width_inch=10, heights_inch=heights)
        for axes, (title, points) in zip(grid, by_name.items(), strict=True):
            places = range(len(points))[::-1]
            means, errors = [point["mean"] for _, point in points], [point["error"] or 0.0 for _, point in points]
            axes.errorbar(means, places, xerr=errors, fmt="o", markersize=4, color=COLOURS[0])
            axes.set_yticks(places, [label for label, _ in points])
            axes.set_ylim(-0.6, len(points) - 0.4)
            axes.set_title(title, loc="left")
        said = {one["error_is"] for points in by_name.values() for _, one in points if one["error_is"]}
        figure.supxlabel(f"mean over seeds; bars: {', '.join(sorted(said)) or 'none, single runs'}")
