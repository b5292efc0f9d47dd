"""The `sngan-cond` command, for people who only use a model.

Nothing here imports torch, so that help and mistakes in the arguments take no seconds.
"""

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from sngan_cond import __version__
from sngan_cond.flags import add_verbs
from sngan_cond.validation import one_line, printable

_LONGEST_MESSAGE = 1000


class OneLineParser(argparse.ArgumentParser):
    """The argument parser of every command of this project: errors take one line, without the usage text."""

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with status 2."""
        self.exit(2, f"{self.prog}: error: {_one_line(message)} (--help says more)\n")


def run_command(
    work: Callable[[], int | None], errors: type[Exception] | tuple[type[Exception], ...], *, name: str = ""
) -> int:
    """Do what a command does, and turn how it ends into its exit status.

    Args:
        work: returns the status; None is 0.
        errors: what the user can mend, which is said in one line without a traceback.
        name: what that line begins with.
    Returns:
        The status of `work`, 2 after one of the errors or one of the system, 130 after Ctrl-C.
    """
    try:
        return work() or 0
    except KeyboardInterrupt as error:
        return exit_status(error)
    except OSError as error:
        return exit_status(error, name=name)
    except errors as error:
        return exit_status(error, name=name)


def print_text(text: str) -> None:
    """Print a text, which may be more than its reader wants, as in `sngan-cond classes ... | head -1`."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's own flush at the end


def exit_status(error: BaseException, *, name: str = "") -> int:
    """Say in one line what ended a command, and return its status: 130 after Ctrl-C, which needs no words, or 2."""
    if isinstance(error, KeyboardInterrupt):
        return 130
    message: object = error
    if isinstance(error, OSError):
        message = (f"{error.filename}: " if error.filename else "") + (error.strerror or str(error))
    print(f"{name}error: {_one_line(message)}", file=sys.stderr)
    return 2


def _one_line(message: object) -> str:
    return printable(one_line(message, _LONGEST_MESSAGE, more="…"))  # it may quote what anybody has written


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog="sngan-cond", description="Sample from a class-conditional generator, and look at it.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=__version__)
    add_verbs(parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=OneLineParser))
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: None takes the process's arguments.
    Returns:
        The exit status, as of `run_command`.
    """
    args = _parser().parse_args(argv)
    with _cleaning_up():
        return run_command(lambda: _run(args), ValueError, name=f"sngan-cond {args.verb}: ")


@contextlib.contextmanager
def _cleaning_up() -> Iterator[None]:
    """Let SIGTERM unwind the command, which removes what it had begun to write, instead of ending the process at once.

    The status is then 143, as shells call that of a process that the signal ended.
    """
    if threading.current_thread() is not threading.main_thread():  # no other may set a handler
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(args: argparse.Namespace) -> None:
    from sngan_cond import commands  # once the flags are known to be right: importing torch takes seconds

    try:
        with _notes(quiet=getattr(args, "quiet", False)):
            text = getattr(commands, args.verb)(args)
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        advice = "; try a smaller --batch-size" if "batch_size" in args else ""
        raise ValueError(f"out of memory on the device{advice}") from error
    print_text(text)


@contextlib.contextmanager
def _notes(*, quiet: bool) -> Iterator[None]:
    """Print what the library logs as plain lines on standard error, unless `quiet`."""
    from tqdm import tqdm  # type: ignore[import-untyped]

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            tqdm.write(_one_line(record.getMessage()), file=sys.stderr)  # above a bar, where one is shown

    logger, handler = logging.getLogger("sngan_cond"), logging.NullHandler() if quiet else Lines()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.propagate = propagate
        logger.setLevel(level)
        logger.removeHandler(handler)


def _is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """Return whether memory ran out; PyTorch's CPU allocator has no exception class for that, only a message."""
    import torch

    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator:" in str(error)
