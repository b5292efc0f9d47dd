"""The result of a table: beside every number of the paper, what was measured and how much of the run was made."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from train.files import write_text_atomically
from train.plotting import COLOURS, png
from train.presets.tables import Row, Table
from train.reproduction.budget import Budget
from train.reproduction.measures import mean_and_error

Result = dict[str, Any]
NOT_RUN = "not run"


def status_of(budget: Budget, results: Sequence[Result]) -> str:
    """Say how much of a row was run: `smoke`, `short: n% of the updates` or `full`, and in how many of the runs."""
    done = sum(result["steps"] > 0 for result in results)
    if not done:
        return NOT_RUN
    short = f"short: {budget.percent:g}% of the updates"
    status = {"smoke": "smoke", "short": short, "paper": "full"}[budget.name]
    return status if done == budget.seeds else f"{status}; {done} of {budget.seeds} runs"


def cells(table: Table, row: Row, budget: Budget, results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return the cells of a row: one for every number that the paper reports.

    Args:
        results: of the runs that were made, in any order.
    Returns:
        {"preset", "row", "metric", "paper", "measured": list of {"name", "mean", "error", "n", "protocol",
        "extractor"}, "status", "reason"}; a cell without a number has a reason.
    """
    made = []
    for metric in table.metrics:
        if metric not in row.reported:
            continue
        measured = _numbers([result["measured"].get(metric, []) for result in results])
        made.append(
            {
                "preset": table.preset(row) if row.base is not None else None,
                "row": row.label,
                "metric": metric,
                "paper": row.reported[metric] or "drawn, not printed",
                "measured": measured,
                "status": status_of(budget, results),
                "reason": "" if measured else _reason(row, metric, results),
            }
        )
    return made


def _numbers(runs: Sequence[list[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        for number in run:
            by_name.setdefault(number["name"], []).append(number)
    numbers = []
    for name, found in by_name.items():
        mean, error = mean_and_error([float(number["value"]) for number in found])
        same = {"protocol": found[0]["protocol"], "extractor": found[0]["extractor"]}
        numbers.append({"name": name, "mean": mean, "error": error, "n": len(found), **same})
    return numbers


def _reason(row: Row, metric: str, results: Sequence[Result]) -> str:
    if row.absent:
        return row.absent
    reasons = [result["reasons"].get(metric) or result["reasons"].get("run") for result in results]
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason)) or "not asked for"


def write_results(folder: Path, made: Sequence[tuple[Table, list[dict[str, Any]]]], budget: Budget) -> None:
    """Write `table.json` and `table.md` to a folder, from tables with their cells."""
    facts = {
        "budget": budget.name,
        "percent": budget.percent if budget.name == "short" else None,
        "seeds": budget.seeds,
        "overrides": list(budget.overrides),
    }
    plain = {"budget": facts, "tables": [{"table": t.key, "title": t.title, "cells": found} for t, found in made]}
    write_text_atomically(folder / "table.json", json.dumps(plain, indent=2, ensure_ascii=False) + "\n")
    write_text_atomically(folder / "table.md", _markdown(made, facts))


def _markdown(made: Sequence[tuple[Table, list[dict[str, Any]]]], facts: dict[str, Any]) -> str:
    extra = f", with {' '.join(facts['overrides'])}" if facts["overrides"] else ""
    lines = [
        "# Reproduction",
        "",
        f"Budget {facts['budget']}, seeds {facts['seeds']}{extra}. Measured: mean and standard error over n runs.",
        "A score carries its extractor's name: only `inception_score` and `fid` may be held against the paper's.",
    ]
    for table, found in made:
        lines += ["", f"## {table.key}", "", f"{table.paper.citation}.", f"{table.title}.", ""]
        lines += ["| row | metric | paper | measured | status |", "| --- | --- | --- | --- | --- |"]
        for cell in found:
            numbers = "<br>".join(_number(number) for number in cell["measured"]) or cell["reason"]
            row = cell["row"].replace("|", "/")
            lines.append(f"| {row} | {cell['metric']} | {cell['paper']} | {numbers} | {cell['status']} |")
    return "\n".join(lines) + "\n"


def _number(number: Mapping[str, Any]) -> str:
    error = "" if number["error"] is None else f" ± {number['error']:.2g}"
    return f"{number['name']} {number['mean']:.4g}{error} (n = {number['n']}; {number['protocol']})"


def plot_results(path: Path, made: Sequence[tuple[Table, list[dict[str, Any]]]]) -> None:
    """Draw every measured number with its error bar, one panel for each name: names never share an axis.

    Args:
        path: of the image; not written where nothing was measured.
        made: tables with their cells.
    """
    panels: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for table, found in made:
        for cell in found:
            for number in cell["measured"]:
                panels.setdefault(f"{table.key}: {number['name']}", []).append((cell["row"], number))
    if not panels:
        return
    heights = [0.7 + 0.2 * len(points) for points in panels.values()]
    with png(path) as figure:
        figure.set_size_inches(10, sum(heights) + 0.6)
        grid = figure.subplots(len(panels), 1, height_ratios=heights, squeeze=False)
        for axes, (title, points) in zip(grid[:, 0], panels.items(), strict=True):
            places = range(len(points))[::-1]
            means, errors = [point["mean"] for _, point in points], [point["error"] or 0.0 for _, point in points]
            axes.errorbar(means, places, xerr=errors, fmt="o", markersize=4, color=COLOURS[0])
            axes.set_yticks(places, [label for label, _ in points])
            axes.set_ylim(-0.6, len(points) - 0.4)
            axes.set_title(title, loc="left")
        figure.supxlabel("mean over seeds and its standard error")
