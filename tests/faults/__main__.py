"""`python -m tests.faults`: the campaign and its table, or one fault again."""

import argparse
import json
import signal
import statistics
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tests.faults.campaign import campaign
from tests.faults.cases import CASES, ONE, TWO
from tests.faults.kinds import KINDS, Fault
from tests.faults.operations import area
from tests.faults.oracle import Verdict


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    add = parser.add_argument
    add("--one", type=int, default=500, metavar="N", help="faults on one process (default: %(default)s)")
    add("--two", type=int, default=100, metavar="N", help="faults on two processes (default: %(default)s)")
    add("--seed", type=int, default=0, metavar="N", help="of the choice (default: %(default)s)")
    add("--jobs", type=int, default=2, metavar="N", help="tries at a time (default: %(default)s)")
    add("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="NAME", help="default: all")
    add("--kinds", nargs="+", choices=KINDS, default=list(KINDS), metavar="NAME", help="default: all")
    add("--out", type=Path, metavar="FILE", help="JSON of all tries")
    add("--repeat", metavar="LINE", help="one fault, as a finding's line says it; FAULTS_KEEP=1 keeps its folder")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns 1 if something is wrong."""
    args = _parser().parse_args(arguments)
    start = time.monotonic()
    if args.repeat:
        fault = Fault.parse(args.repeat)
        with campaign(1, [fault.case]) as opened:
            verdicts = [opened.try_one(fault)]
    else:
        parts = [([name for name in of if name in args.cases], n) for of, n in ((ONE, args.one), (TWO, args.two)) if n]
        with campaign(args.jobs, [name for names, _ in parts for name in names]) as opened:
            chance = Random(args.seed)
            faults = [fault for names, n in parts for fault in opened.faults(names, n, chance, args.kinds)]
            chance.shuffle(faults)  # so that what was tried until an interruption is of all
            signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background ignores
            verdicts = []
            with suppress(KeyboardInterrupt):  # the table is of what was tried
                for verdict in opened.tries(faults):
                    verdicts.append(verdict)
                    for wrong in verdict.wrong:
                        print(f"{verdict.fault}  {wrong}", file=sys.stderr, flush=True)
    print(_table(verdicts, time.monotonic() - start))
    if args.out:
        args.out.write_text(json.dumps(_values(verdicts, args.seed), indent=1) + "\n")
    return int(any(verdict.wrong for verdict in verdicts))


class Row(NamedTuple):
    """A row of the table: what is alike in its tries, and how they ended."""

    processes: int
    fault: str
    area: str
    tries: int
    survived: int
    median_s: float | None
    worst_s: float | None

    def __str__(self) -> str:
        median, worst = (f"{s:8.2f}" if s is not None else f"{'-':>8}" for s in (self.median_s, self.worst_s))
        return (
            f"{self.processes:9}  {self.fault:24}  {self.area:12}  {self.tries:5}  {self.survived:8}  {median}  {worst}"
        )


def _rows(verdicts: Iterable[Verdict]) -> list[Row]:
    groups: dict[tuple[int, str, str], list[Verdict]] = {}
    for verdict in verdicts:
        fault = verdict.fault
        processes = CASES[fault.case].ranks
        row = processes, KINDS[fault.kind].name, area(fault.operation.place)
        for group in (row, (processes, "all", "all")):
            groups.setdefault(group, []).append(verdict)
    rows = []
    for group in sorted(groups, key=lambda group: (group[0], group[1] == "all", group)):
        times = [verdict.recovered_s for verdict in groups[group] if verdict.recovered_s is not None]
        survived = sum(not verdict.wrong for verdict in groups[group])
        seconds = (statistics.median(times), max(times)) if times else (None, None)
        rows.append(Row(*group, len(groups[group]), survived, *seconds))
    return rows


def _table(verdicts: Iterable[Verdict], seconds: float) -> str:
    reached = [verdict for verdict in verdicts if verdict.reached]
    missed = sum(not verdict.reached for verdict in verdicts)
    lines = ["processes  fault                     area          tries  survived  median s   worst s"]
    lines += map(str, _rows(reached))
    lines.append(
        f"{len(reached)} faults in {seconds:.0f} s, {missed} more did not strike; seconds are from the restart to the "
        "first new step, without Python's imports"
    )
    for verdict in reached:
        if verdict.wrong:
            lines.append(f"python -m tests.faults --repeat '{verdict.fault}'")
            lines += [f"    {wrong}" for wrong in verdict.wrong]
    return "\n".join(lines)


def _values(verdicts: Iterable[Verdict], seed: int) -> dict[str, Any]:
    """Return what the JSON holds."""
    tries = [{**verdict._asdict(), "fault": str(verdict.fault)} for verdict in verdicts]
    rows = [row._asdict() for row in _rows(verdict for verdict in verdicts if verdict.reached)]
    return {"seed": seed, "rows": rows, "tries": tries}


if __name__ == "__main__":
    sys.exit(main())
