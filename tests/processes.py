"""Programs as users start them: in processes of their own, or in this one where time is short."""

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).parents[1]
_LONGEST_S = 240


def run(
    command: Iterable[object], *, status: int | None = 0, input: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command from the project's root to its end.

    Args:
        status: with which it must end; None allows any.
        input: what it reads.
        environment: variables beside those of `clean_environment`.
    """
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env=clean_environment() | environment,
        input=input,
        capture_output=True,
        text=True,
        timeout=_LONGEST_S,
        check=False,
    )
    assert status in (None, done.returncode), f"status {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done


def python(*words: object, status: int | None = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python (`"-m", "train", ...` or `"-c", code, ...`) as `run` does."""
    return run([sys.executable, *words], status=status, **environment)


def called(main: Callable[[list[str]], object], *arguments: object) -> tuple[object, str, str]:
    """Run a command in this process; returns its status, and what it prints as output and as errors."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code
    return status, out.getvalue(), err.getvalue()


def output_of(main: Callable[[list[str]], object], *arguments: object) -> str:
    """Run a command in this process that must end well, and return what it prints."""
    status, out, err = called(main, *arguments)
    assert status == 0, err
    return out


@contextlib.contextmanager
def started(command: Iterable[object], log: Path, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a command from the project's root; if it still runs at the end of the block, it is killed.

    Args:
        log: file of all that it prints; its folder is made.
        options: of `subprocess.Popen`; `env` is beside `clean_environment`'s.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    env = clean_environment() | options.pop("env", {})
    with log.open("w") as output:
        options = {"cwd": ROOT, "stdout": output, "stderr": output, "text": True, **options}
        process = subprocess.Popen(list(map(str, command)), env=env, **options)
    with process:
        try:
            yield process
        except AssertionError:
            print(log.read_text(errors="replace")[-4000:])  # pytest shows it with the failure
            raise
        finally:
            process.kill()  # one that has ended is left alone


class Ended(Protocol):
    """What can say that it has: a `subprocess.Popen`, for one."""

    def poll(self) -> int | None: ...


def wait_for(condition: Callable[[], object], process: Ended | None = None, *, longest_s: float = 120) -> None:
    """Wait until a condition holds, or the process that is to bring it about has ended."""
    deadline = time.monotonic() + longest_s
    while (process is None or process.poll() is None) and not condition():
        assert time.monotonic() < deadline, f"not within {longest_s} s"
        time.sleep(0.01)


def clean_environment() -> dict[str, str]:
    """Return this process's environment, with one thread, so that bits can be compared, and nothing about the Hub."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    return {**kept, "OMP_NUM_THREADS": "1"}
