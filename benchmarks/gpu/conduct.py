"""Runs the stages one after another, each in a child process that is killed when its time is over."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu.campaign import Campaign, Tables
from benchmarks.gpu.plan import SHORTEST_S, Stage, limit
from benchmarks.gpu.report import Record, write_report

ROOT = Path(__file__).parents[2]  # not from `benchmarks.machine`, which imports torch
LAST_LINES = 12  # of a failed stage's output, in the report
TICK_S = 0.5


def conduct(stages: Sequence[Stage], campaign: Campaign, record: Record, *, deadline: float) -> None:
    """Run stages until the deadline, and write the report whenever there is something new.

    Args:
        record: what is known before; changed in place.
        deadline: of `time.monotonic`, for the last stage's end.
    """
    for at, stage in enumerate(stages):
        seconds = limit(stages[at:], deadline - time.monotonic(), campaign.device)
        entry: dict[str, Any] = {"state": "running", "limit_s": round(seconds, 1), "seconds": 0.0, "tables": {}}
        if seconds < SHORTEST_S:
            entry |= {"state": "left out", "why": f"{max(seconds, 0):.1f} s were left for it"}
            entry = record["stages"].setdefault(stage.name, entry)  # what an earlier call found stays
        else:
            record["stages"][stage.name] = entry
            print(f"== {stage.name}: {seconds:.0f} s at most", flush=True)
            told = dataclasses.replace(campaign, seconds=seconds, tables=all_tables(record))
            _run(stage, told, entry, record)
        print(f"   {stage.name}: {entry['state']} after {entry['seconds']:.1f} s", flush=True)
        write_report(Path(campaign.out), record)


def all_tables(record: Record) -> Tables:
    """Return the tables of all stages, by title."""
    return {title: rows for entry in record["stages"].values() for title, rows in entry["tables"].items()}


def _run(stage: Stage, campaign: Campaign, entry: dict[str, Any], record: Record) -> None:
    """Run one stage and complete its entry: state, seconds, tables, and if it failed, why."""
    out, work = Path(campaign.out), Path(campaign.work)
    told, found, log = work / f"{stage.name}.told.json", work / f"{stage.name}.rows.json", out / f"{stage.name}.log"
    found.unlink(missing_ok=True)
    campaign.write(told)
    line = [sys.executable, "-m", "benchmarks.gpu.child", stage.function, str(told), str(found)]
    started = time.monotonic()
    with log.open("w") as output:
        # A session of its own: whatever the stage starts is in its group, and is killed with it.
        child = subprocess.Popen(
            line, cwd=ROOT, env=_environment(campaign), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            status = _wait(child, started + campaign.seconds, lambda: _update(entry, found, out, record))
        finally:
            _kill_group(child)
    _update(entry, found, out, record)
    entry["seconds"] = round(time.monotonic() - started, 1)
    entry["state"] = "killed" if status is None else "failed" if status else "done"
    if status != 0:
        reason = "its time was over" if status is None else f"it ended with status {status}"
        last = log.read_text(errors="replace").strip().splitlines()[-LAST_LINES:]
        entry["why"] = "\n".join([reason, *last])


def _environment(campaign: Campaign) -> dict[str, str]:
    """Return this process's environment, with the compiler's cache where all stages find it."""
    own = {"PYTHONUNBUFFERED": "1"}
    if campaign.device == "cpu":
        own["CUDA_VISIBLE_DEVICES"] = ""
    if campaign.narrow:
        own["OMP_NUM_THREADS"] = "1"  # tiny tensors lose more to the meeting of threads than they gain
    return {"TORCHINDUCTOR_CACHE_DIR": str(Path(campaign.work) / "compiled"), **os.environ, **own}


def _wait(child: subprocess.Popen[bytes], deadline: float, on_tick: Any) -> int | None:
    """Return the status with which a child ended, or None if it has not at the deadline."""
    while (left := deadline - time.monotonic()) > 0:
        try:
            return child.wait(timeout=min(TICK_S, left))
        except subprocess.TimeoutExpired:
            on_tick()
    return None


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):  # nothing of it is left
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _update(entry: dict[str, Any], found: Path, out: Path, record: Record) -> None:
    """Take over what a stage has found so far, and write the report if that is more than before."""
    tables = json.loads(found.read_text()) if found.exists() else {}
    if tables != entry["tables"]:
        entry["tables"] = tables
        write_report(out, record)
