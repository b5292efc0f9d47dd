"""`python -m train` started many times from one interpreter, which has imported all that a run needs.

Where a run is killed after a few steps, imports would be most of its time. `python -m tests.train.run.forked` reads a
command's arguments a line, as JSON, prints the child's number, and another line when it has ended.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.processes import started


class Child:
    """A run that goes on beside the test."""

    def __init__(self, parent: subprocess.Popen[str], arguments: list[str]) -> None:
        assert parent.stdin is not None
        self._parent = parent
        parent.stdin.write(json.dumps(arguments) + "\n")
        parent.stdin.flush()
        self.pid = int(self._line())

    def poll(self) -> int | None:
        """Return None while it runs, 0 once it has ended, however."""
        return None if psutil.pid_exists(self.pid) else 0

    def kill(self) -> None:
        """Kill it, if it still runs, and wait until it is gone."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        assert self._line() == "ended\n"

    def _line(self) -> str:
        assert self._parent.stdout is not None
        line = self._parent.stdout.readline()
        assert line, "the interpreter that forks has ended"
        return line


@contextmanager
def forking(log: Path) -> Iterator[subprocess.Popen[str]]:
    """Start the interpreter that forks.

    Args:
        log: file of what the runs print.
    """
    command = [sys.executable, "-m", "tests.train.run.forked", log]
    with started(command, log.with_suffix(".err"), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        yield parent


def main(log: str) -> None:
    from train.__main__ import main as train
    from train.trainer import loop  # noqa: F401 - what the command imports once its flags are checked

    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            with open(log, "a") as file:  # noqa: PTH123 - beside its descriptor there is nothing to open it for
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
                os._exit(train(json.loads(line)))
        print(pid, flush=True)
        os.waitpid(pid, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
