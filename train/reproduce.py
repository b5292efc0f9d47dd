"""`python -m train.reproduce`: train and measure the rows of the papers' tables, and draw the papers' figures."""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from train.run.allocator import reexec_with_fast_allocator

if __name__ == "__main__":
    reexec_with_fast_allocator("train.reproduce")  # before torch is imported

from sngan_cond.cli import OneLineParser, run_command
from sngan_cond.validation import did_you_mean
from train.cli import add_overrides
from train.errors import TrainError
from train.presets.index import find_tables
from train.presets.tables import Table
from train.reproduction.figures.index import needs_of, tables_of, whole_figures
from train.reproduction.figures.names import find_figures, print_names
from train.reproduction.figures.registry import PaperFigure

if TYPE_CHECKING:
    from train.reproduction.task import Scoring

EPILOG = """examples:
  python -m train.reproduce --list
  python -m train.reproduce --list --hours --table sngan/table2
  python -m train.reproduce --table sngan/table2 --budget smoke --run-dir runs/smoke
  python -m train.reproduce --table sngan/figure1 --rows 'cifar10_*_A' 'cifar10_*_D' --budget short --percent 2 \\
      --seeds 3 --extractor efficientnet-lite0 --set generator.channels=32 discriminator.channels=32 \\
      --run-dir runs/settings
  python -m train.reproduce --figure all --list
  python -m train.reproduce --figure bssn/figure9 --budget short --percent 2 --seeds 3 --run-dir runs/curves

A name of a table that is also a figure's draws the figure too. Tables and figures share runs: a figure that looks into
training needs scores or checkpoints at 20 intervals, and its runs take these for tables as well; --set
evaluation.every=0 leaves the scores out.
After a stop, the same command resumes; finished runs are read, not made again."""


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    p = OneLineParser(
        prog="python -m train.reproduce",
        description="Train and measure rows of the papers' tables beside the papers' numbers, and draw their figures.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = p.add_argument
    add("--table", metavar="NAME", help="all (default), sngan, bssn, sngan/table2, ...")
    add("--figure", metavar="NAME", help="figures instead of tables: all, sngan, bssn, bssn/figure9, ...")
    add("--rows", nargs="+", metavar="PATTERN", help="names of rows, * for any letters (default: all rows)")
    add(
        "--budget",
        choices=("smoke", "short", "paper"),
        help="smoke: five steps of narrow networks; short: a percentage of the updates; paper: all of them",
    )
    add(
        "--percent",
        type=float,
        default=1.0,
        metavar="P",
        help="share of the updates under short, in percent (default 1)",
    )
    add("--seeds", type=int, metavar="N", help="runs of each row (default 5; smoke: 1)")
    add("--run-dir", type=Path, metavar="DIR", help="folder of runs and results")
    add(
        "--data-root",
        type=Path,
        default=Path("data"),
        metavar="DIR",
        help="folder of the prepared data sets (default: data)",
    )
    add("--jobs", type=int, default=1, metavar="N", help="runs at the same time (default 1)")
    add(
        "--extractor",
        metavar="NAME",
        help="feature extractor, or none (default: inception-v3-compat; smoke falls back on efficientnet-lite0)",
    )
    add(
        "--weights",
        metavar="FILE",
        help="the extractor's weights (default: torch hub's cache or the installed package)",
    )
    add("--fakes", type=int, metavar="N", help="fake images scored (default: the protocol's; smoke: 20)")
    add("--reals", type=int, metavar="N", help="real images scored (default: the protocol's; smoke: 20)")
    add_overrides(p, "settings of every row, stated in the result")
    add("--list", action="store_true", help="print tables, rows, reported numbers and costs, and stop")
    add("--hours", action="store_true", help="with --list: measure training time here; on a CPU minutes for all tables")
    return p


def select(tables: Sequence[Table], patterns: Sequence[str] | None) -> list[Table]:
    """Return the tables with those of their rows that patterns name, without tables of which there is none.

    Args:
        patterns: row names, with * for any letters; None takes every row.
    Raises:
        TrainError: if a pattern names no row.
    """
    if patterns is None:
        return list(tables)
    names = [row.name for table in tables for row in table.rows]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            hint = did_you_mean(pattern, names, form="; did you mean {}?")
            raise TrainError(f"--rows {pattern}: no such row in {', '.join(table.key for table in tables)}{hint}")
    chosen = [
        replace(table, rows=[row for row in table.rows if any(fnmatchcase(row.name, pattern) for pattern in patterns)])
        for table in tables
    ]
    return [table for table in chosen if table.rows]


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    args = parser().parse_args(arguments)
    return run_command(lambda: _main(args), TrainError)


def _main(args: argparse.Namespace) -> int:
    if args.table is not None and args.figure is not None:
        raise TrainError(f"--figure {args.figure}: not with --table; a command makes one or the other")
    figures = find_figures(args.figure) if args.figure is not None else ()
    tables = tables_of(figures) if args.figure is not None else find_tables(args.table or "all")
    if args.rows and not tables:
        raise TrainError(f"--rows {args.rows[0]}: no row is allowed, {figures[0].key} is drawn from none")
    tables = select(tables, args.rows)
    if args.hours and (args.figure is not None or not args.list):
        raise TrainError("--hours: goes with --list, and not with --figure")
    if not args.list:
        _check(args)
        return _reproduce(args, tables, figures)
    try:
        if args.figure is not None:
            print_names(args.figure, figures)
        else:
            _print_list(tables, hours=args.hours)
        return 0
    except BrokenPipeError:  # as in `--list | head`; Python flushes stdout once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _check(args: argparse.Namespace) -> None:
    for name in ("budget", "run_dir"):
        if getattr(args, name) is None:
            raise TrainError(f"--{name.replace('_', '-')}: is needed")
    for name in ("seeds", "jobs"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise TrainError(f"--{name} {value}: an integer from 1 is allowed")
    if not 0 < args.percent <= 100:
        raise TrainError(f"--percent {args.percent:g}: a number above 0 and up to 100 is allowed")


def _print_list(tables: Sequence[Table], *, hours: bool) -> None:
    from train.reproduction.overview import print_overview

    print("Cost of a whole run: updates of G, and real images shown to D.")
    if not hours:
        print("How long that takes on this machine: --hours.")
        print_overview(tables)
        return
    from train.reproduction import cost  # imports torch, which takes seconds

    where = f"one {cost.DEVICE.type} of this machine in {cost.PRECISION}"
    print(f"Hours on {where}, from measured updates; evaluation apart.", flush=True)
    print_overview(tables, cost.hours)


def _reproduce(args: argparse.Namespace, tables: Sequence[Table], figures: Sequence[PaperFigure]) -> int:
    from train.evaluation.protocols import protocol_named
    from train.reproduction.curves import plot_curves
    from train.reproduction.figures.drawing import draw_figures
    from train.reproduction.results import Result, plot_results, write_results
    from train.reproduction.runner import run_tasks
    from train.reproduction.task import Budget, Task

    is_smoke, scoring = args.budget == "smoke", _scoring(args)
    budget = Budget(
        name=args.budget,
        percent=args.percent,
        seeds=args.seeds or (1 if is_smoke else 5),
        data_root=args.data_root,
        overrides=tuple(args.overrides),
    )
    tasks = [
        Task(
            table=table,
            row=row,
            seed=seed,
            budget=budget,
            scoring=scoring,
            folder=args.run_dir,
            needs=needs_of(table, row),
        )
        for table in tables
        for row in table.rows
        if row.base is not None or row.real is not None
        for seed in range(budget.seeds if row.base is not None else 1)
    ]
    for task in tasks:  # what does not fit is said before anything is trained
        _ = task.row.real or task.config
        _ = protocol_named(task.table.paper.protocol).reduced(fakes=scoring.fakes, reals=scoring.reals)
    args.run_dir.mkdir(parents=True, exist_ok=True)
    results: dict[str, list[Result]] = {}
    stopped = False
    for task, result in run_tasks(tasks, jobs=args.jobs, log=print):
        results.setdefault(task.preset, []).append(result)
        stopped = result.is_stopped
        if args.figure is None:
            write_results(args.run_dir, tables, budget, results)  # after every run: a kill leaves the table so far
    if stopped:
        return 130
    if args.figure is None:
        plot_results(args.run_dir / "table.png", write_results(args.run_dir, tables, budget, results))
        if not is_smoke:  # a few steps make no curve
            plot_curves(args.run_dir, tasks)
        print(f"{args.run_dir / 'table.md'}: {sum(len(table.rows) for table in tables)} rows")
        figures = whole_figures(tables)
    file = args.run_dir / ("table-figures.md" if args.figure is None else "figures.md")
    for one in draw_figures(file, figures, tasks, budget):
        print(f"{one.figure.key}: {'drawn' if one.is_drawn else 'not drawn'}{''.join(f'; {r}' for r in one.reasons)}")
    if figures:
        print(f"{file}: {len(figures)} figures")
    return 0


def _scoring(args: argparse.Namespace) -> "Scoring":
    """Choose the extractor once, so that every row has the same one."""
    from sngan_cond.validation import allowed_names
    from train.evaluation.extractors import EXTRACTORS
    from train.evaluation.protocols import MIN_IMAGES
    from train.evaluation.weights import FALLBACK, INCEPTION, find_weights
    from train.reproduction.task import Scoring

    is_smoke, asked = args.budget == "smoke", args.extractor
    counts = {
        name: MIN_IMAGES if is_smoke and getattr(args, name) is None else getattr(args, name)
        for name in ("fakes", "reals")
    }
    if asked == "none":
        return Scoring(extractor=None, missing="scores were not asked for", **counts)
    if asked is not None and asked not in EXTRACTORS:
        raise TrainError(f"--extractor {asked!r}: {allowed_names(asked, EXTRACTORS)}, or 'none'")
    missing = ""
    for name in [asked] if asked else [INCEPTION, FALLBACK] if is_smoke else [INCEPTION]:
        try:
            sha256 = find_weights(name, args.weights).sha256 if name in (INCEPTION, FALLBACK) else None
            return Scoring(extractor=name, weights=args.weights, weights_sha256=sha256, **counts)
        except TrainError as error:
            if asked:
                raise
            missing = missing or f"no extractor weights: {error}"
    return Scoring(extractor=None, missing=missing, **counts)


if __name__ == "__main__":
    sys.exit(main())
