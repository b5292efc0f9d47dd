"""Which lines of a reader were run, told by Python's tracing."""

import inspect
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any


def functions_of(owners: Iterable[Any]) -> list[FunctionType]:
    """Return functions, those of classes, and all that modules define."""
    found: list[FunctionType] = []
    waiting = list(owners)
    while waiting:
        owner = waiting.pop()
        if isinstance(owner, ModuleType):
            waiting += [inner for inner in vars(owner).values() if getattr(inner, "__module__", None) == owner.__name__]
        elif inspect.isclass(owner):
            own = [inner for inner in vars(owner).values() if not isinstance(inner, str | type)]
            waiting += [inner for inner in own if getattr(inner, "__module__", owner.__module__) == owner.__module__]
        else:
            inner = inspect.unwrap(getattr(owner, "fget", None) or getattr(owner, "__func__", owner))
            if isinstance(inner, FunctionType) and inner.__code__.co_filename.endswith(".py"):
                found.append(inner)
    return list(dict.fromkeys(found))


def codes_of(owners: Iterable[Any]) -> set[CodeType]:
    """Return the code of `functions_of`, with what is nested inside."""
    found: set[CodeType] = set()
    waiting = [function.__code__ for function in functions_of(owners)]
    while waiting:
        code = waiting.pop()
        found.add(code)
        waiting += [inner for inner in code.co_consts if isinstance(inner, CodeType)]
    return found


class Lines:
    """The lines of a reader's own code, and those that were run inside `counting`.

    Args:
        owners: functions, classes or modules.
    """

    def __init__(self, owners: Iterable[Any]) -> None:
        self._codes = codes_of(owners)
        self.all = {(code.co_filename, line) for code in self._codes for line in _lines(code)}
        self.run: set[tuple[str, int]] = set()

    @property
    def percent(self) -> float:
        """Per cent of the lines that were run, 100 of none."""
        return 100 * len(self.run & self.all) / len(self.all) if self.all else 100.0

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Note the lines that this thread runs."""
        before = sys.gettrace()
        sys.settrace(self._called)
        try:
            yield
        finally:
            sys.settrace(before)

    def _called(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._traced if frame.f_code in self._codes else None

    def _traced(self, frame: FrameType, event: str, argument: Any) -> Any:
        self.run.add((frame.f_code.co_filename, frame.f_lineno))
        return self._traced


def _lines(code: CodeType) -> set[int]:
    """Return the lines of a function that are run where it is called, its first line left out."""
    return {line for _, _, line in code.co_lines() if line is not None and line != code.co_firstlineno}
