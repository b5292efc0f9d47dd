"""Calls and commands that must refuse, and the one line in which they say why."""

import re
from collections.abc import Callable, Iterable

import pytest

from tests.processes import called


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
    status, out, err = called(main, *arguments)
    assert (status, out) == (2, ""), err
    line = err.removesuffix("\n")
    assert re.match(r"([^:]+: )?error: ", line), line
    return _checked(line, words)


def _checked(line: str, words: tuple[str, ...]) -> str:
    assert "\n" not in line, line
    assert [word for word in words if word not in line] == [], line
    return line
