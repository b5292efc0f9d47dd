"""Calls and commands that must refuse, and the one line in which they say why."""

import contextlib
import io
import re
from collections.abc import Callable, Iterable

import pytest


def refused(call: Callable[[], object], *words: str, by: type[Exception] = ValueError) -> str:
    """Make a call that must be refused in one line that holds these words; returns the line."""
    with pytest.raises(by) as error:
        call()
    return _checked(str(error.value), words)


def refused_command(main: Callable[[list[str]], object], arguments: Iterable[object], *words: str) -> str:
    """Run a command that must end with status 2, print nothing, and say why in one line; returns the line.

    Args:
        main: the command, called with its arguments.
        words: that the line must hold.
    """
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code
    assert (status, out.getvalue()) == (2, "")
    line = err.getvalue().removesuffix("\n")
    assert re.match(r"([^:]+: )?error: ", line), line
    return _checked(line, words)


def _checked(line: str, words: tuple[str, ...]) -> str:
    assert "\n" not in line, line
    assert [word for word in words if word not in line] == [], line
    return line
