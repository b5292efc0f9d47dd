"""An interpreter that has imported what the commands need, and forks a process for each.

`Server.run` has it start one process, or the ranks of a run, and wait for them. In a process everything is as a shell
would start it, but for the injector and for the imports, which cost seconds.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.processes import started

ALONE_S, TOLD_S = 3.0, 10.0  # in which the others of a rank that has failed end by themselves, and by a SIGTERM


class Job(NamedTuple):
    """A process of a command.

    Args:
        command: of `COMMANDS`, then its arguments.
        root: the case's folder, in which it runs.
        log: file of what it prints, relative to nothing.
        environment: variables beside the server's.
        fault: line of the fault that strikes it, empty for none.
        fired: folder that is made when it strikes.
        record: file of its operations, empty for none.
    """

    command: list[str]
    root: str
    log: str
    environment: dict[str, str]
    fault: str = ""
    fired: str = ""
    record: str = ""


class Ended(NamedTuple):
    """How a process ended.

    Args:
        status: exit status, or the number of the signal that ended it, negative.
        hung: it had to be ended.
        seconds: until it ended.
        first_step_s: until a run had logged its first new step, None where it did not.
    """

    status: int
    hung: bool
    seconds: float
    first_step_s: float | None


class Server:
    """The interpreter; as a context it ends with the block.

    Args:
        log: file for what it prints itself.
        environment: variables that lead to the Hub.
        hub_port: on loopback.
    """

    def __init__(self, log: Path, environment: dict[str, str], hub_port: int) -> None:
        command = [sys.executable, "-m", "tests.faults.server", hub_port]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._started = started(command, log, env=environment, **pipes)

    def run(self, jobs: Sequence[Job], *, deadline_s: float) -> list[Ended]:
        """Run the processes of one command to their end, or to a deadline."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([deadline_s, *(job._asdict() for job in jobs)]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the interpreter that forks has ended"
        return [Ended(*values) for values in json.loads(line)]

    def __enter__(self) -> Self:
        self._process = self._started.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(timeout=60)
        self._started.__exit__(*error)


def serve(hub_port: int) -> None:
    """Answer lines of JSON until there are no more."""
    from tests.faults import child  # imports everything

    for line in sys.stdin:
        deadline_s, *jobs = json.loads(line)
        start = time.monotonic()
        pids = []
        for job in jobs:
            pid = os.fork()
            if not pid:
                child.become(Job(**job), hub_port, start)
            pids.append(pid)
        ended = _wait(pids, start, deadline_s)
        rows = []
        for job, pid in zip(jobs, pids, strict=True):
            first = Path(f"{job['log']}.first")
            rows.append([*ended[pid], float(first.read_text()) if first.exists() else None])
        print(json.dumps(rows), flush=True)


def _wait(pids: list[int], start: float, deadline_s: float) -> dict[int, tuple[int, bool, float]]:
    """Wait for all; as a launcher does, end the others of one that has failed."""
    ended: dict[int, tuple[int, bool, float]] = {}
    failed, sent = float("inf"), 0
    while len(ended) < len(pids):
        for pid in set(pids) - ended.keys():
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                code = os.waitstatus_to_exitcode(status)
                ended[pid] = code, sent == signal.SIGKILL, time.monotonic() - start
                failed = min(failed, time.monotonic()) if code else failed
        now = time.monotonic()
        late = now - start > deadline_s or now - failed > ALONE_S + TOLD_S
        wanted = signal.SIGKILL if late else signal.SIGTERM if now - failed > ALONE_S else 0
        if wanted != sent:
            sent = wanted
            for pid in set(pids) - ended.keys():
                os.kill(pid, sent)
        time.sleep(0.005)
    return ended


if __name__ == "__main__":
    serve(int(sys.argv[1]))
