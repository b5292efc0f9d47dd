"""The kinds of faults: at which operations each may strike, and what it does there."""

import errno
import os
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from random import Random
from time import sleep  # the real one, whatever becomes of `time.sleep`
from typing import Any, NamedTuple, NoReturn, Self

from safetensors import SafetensorError

from tests.faults.injector import Deed
from tests.faults.operations import CHANGING, GROWING, NETWORK, READING, Operation

STALL_S = 1.0
FOR_EVER_S = 3600.0
_ENDS_BY_PATH = ("open-read", "open-write", "stat", "list", "mkdir", "link", "rename", "unlink", "rmdir", "chmod")


class Fault(NamedTuple):
    """One fault of a case; its line repeats it.

    Args:
        case: name of the case.
        rank: of the process that is struck.
        kind: of `KINDS`.
        seed: of the bit that is flipped.
    """

    case: str
    rank: int
    kind: str
    operation: Operation
    seed: int

    def __str__(self) -> str:
        return f"{self.case}/{self.rank}/{self.kind}:{self.operation}:{self.seed}"

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read what `str` returns."""
        head, _, rest = line.partition(":")
        operation, _, seed = rest.rpartition(":")
        case, rank, kind = head.split("/")
        return cls(case, int(rank), kind, Operation.parse(operation), int(seed))


class Strike:
    """Does every deed of a process, and at one of them the fault.

    Args:
        fault: which, and where.
        root: the case's folder.
        fired: file that is made when it strikes: with what it took away, to be put back.
    """

    def __init__(self, fault: Fault, root: Path, fired: Path) -> None:
        self.fault, self.root, self.fired = fault, root, fired
        self.lasting: tuple[int, tuple[str, ...]] | None = None  # an error, and the kinds that have it from here on
        self.no_room = ""  # path of a file of which a write was cut short: the next one fails
        self._older: dict[str, bytes] = {}

    def __call__(self, deed: Deed) -> Any:
        if self.lasting is not None and deed.operation.kind in self.lasting[1]:
            raise system_error(deed, self.lasting[0])
        if self.no_room == deed.path and deed.operation.kind == "write":
            self.no_room = ""
            raise system_error(deed, errno.ENOSPC)
        if self.fault.kind == "older":
            self._remember(deed)
        if deed.operation != self.fault.operation:
            return deed.do()
        self.fired.mkdir(parents=True)
        return KINDS[self.fault.kind].act(self, deed)

    def take_away(self, deed: Deed) -> Path:
        """Keep a copy of what a deed is about, and return its path."""
        path = Path(deed.path)
        if path.is_dir():
            shutil.copytree(path, self.fired / "copy")
        elif path.is_file():
            shutil.copy2(path, self.fired / "copy")
        (self.fired / "path").write_text(str(path))
        return path

    def older(self, path: str) -> bytes:
        """Return what a file held before it was replaced; nothing if it was not."""
        return self._older.get(path, b"")

    def _remember(self, deed: Deed) -> None:
        if deed.operation.kind in ("rename", "open-write") and os.path.isfile(deed.path):  # noqa: PTH113
            self._older.setdefault(deed.path, Path(deed.path).read_bytes())


def system_error(deed: Deed, number: int) -> Exception:
    """Return what the deed would raise if the system refused it."""
    text = os.strerror(number)
    if deed.operation.kind == "store":
        return SafetensorError(f'Error while serializing: I/O error: {text} (os error {number}) at path "{deed.path}"')
    if deed.operation.kind == "load":  # whatever the system says
        return FileNotFoundError(f"No such file or directory: {deed.named}")
    named = deed.named if deed.operation.kind in _ENDS_BY_PATH else None
    return OSError(number, text) if named is None else OSError(number, text, named)


def _kill() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("it is dead")


def _kill_before(_: Strike, __: Deed) -> Any:
    _kill()


def _kill_within(_: Strike, deed: Deed) -> Any:
    assert deed.half is not None
    deed.half()
    _kill()


def _kill_after(_: Strike, deed: Deed) -> Any:
    deed.do()
    _kill()


def _freeze(_: Strike, deed: Deed) -> Any:
    os.kill(os.getpid(), signal.SIGSTOP)
    return deed.do()


def _stall(_: Strike, deed: Deed) -> Any:
    """Let a disk take a second, and a Hub never answer: who set a time limit is told at once that it is over."""
    if isinstance(deed.path, socket.socket):
        if deed.path.gettimeout() is None:
            sleep(FOR_EVER_S)
        raise TimeoutError("timed out")
    sleep(STALL_S)
    return deed.do()


def _error(number: int) -> "Callable[[Strike, Deed], Any]":
    def act(_: Strike, deed: Deed) -> Any:
        raise system_error(deed, number)

    return act


def _short(strike: Strike, deed: Deed) -> Any:
    """Write a part and say how much, as a system does that has room for no more; the next write fails."""
    assert deed.half is not None
    written = deed.half()
    if deed.operation.kind != "write":
        raise system_error(deed, errno.ENOSPC)
    strike.no_room = deed.path
    return written


def _lasting(number: int, kinds: tuple[str, ...]) -> "Callable[[Strike, Deed], Any]":
    def act(strike: Strike, deed: Deed) -> Any:
        strike.lasting = number, kinds
        raise system_error(deed, number)

    return act


def _damage(change: Callable[[Strike, Path], None]) -> "Callable[[Strike, Deed], Any]":
    """Change what is there: before it is used, or after it was written."""

    def act(strike: Strike, deed: Deed) -> Any:
        if deed.operation.kind in ("close", "rename", "store"):
            result = deed.do()
            change(strike, strike.take_away(deed))
            return result
        change(strike, strike.take_away(deed))
        return deed.do()

    return act


def _flip(strike: Strike, path: Path) -> None:
    content = bytearray(path.read_bytes())
    bit = Random(strike.fault.seed).randrange(max(1, 8 * len(content)))
    if content:
        content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def _cut(_: Strike, path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _remove(_: Strike, path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _as_folder(_: Strike, path: Path) -> None:
    path.unlink()
    path.mkdir()


def _as_file(_: Strike, path: Path) -> None:
    shutil.rmtree(path)
    path.write_bytes(b"in the way")


def _as_older(strike: Strike, path: Path) -> None:
    path.write_bytes(strike.older(str(path)))


def _without_run(strike: Strike, deed: Deed) -> Any:
    _remove(strike, strike.root / "run")
    return deed.do()


def _broken(error: type[OSError], number: int) -> "Callable[[Strike, Deed], Any]":
    def act(_: Strike, deed: Deed) -> Any:
        if deed.operation.kind != "connect":
            deed.path.shutdown(socket.SHUT_RDWR)  # or the process would go on to wait for an answer
        raise error(number, os.strerror(number))

    return act


def _answer(status: str, body: bytes = b"") -> "Callable[[Strike, Deed], Any]":
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close"
    return lambda _, __: f"{head}\r\n\r\n".encode() + body


class Kind(NamedTuple):
    """A kind of fault.

    Args:
        name: of its row in the table.
        act: strikes.
        at: kinds of operations.
        there: what must be at the path: "file", "folder", or "none" where there is nothing.
    """

    name: str
    act: Callable[[Strike, Deed], Any]
    at: tuple[str, ...]
    there: tuple[str, ...] = ("file", "folder", "none")


_SEEN = ("open-read", "load", "close", "rename", "store", "stat")
_NAMING = ("open-write", "mkdir", "link", "rename", "unlink", "rmdir")  # what a disk refuses that may only be read
_USED = (*CHANGING, "open-read", "load")
_REFUSALS = ("409 Conflict", "412 Precondition Failed", "413 Too Large", "429 Too Many", "500 No", "503 No")
KINDS = {
    "kill-before": Kind("kill", _kill_before, (*_USED, *NETWORK)),
    "kill-within": Kind("kill", _kill_within, ("write", "store")),
    "kill-after": Kind("kill", _kill_after, (*CHANGING, *NETWORK)),
    "freeze": Kind("stop a rank", _freeze, _USED),
    "stall": Kind("stall", _stall, (*_USED, *NETWORK)),
    "EIO": Kind("I/O error", _error(errno.EIO), (*READING, *CHANGING)),
    "ESTALE": Kind("stale handle", _error(errno.ESTALE), (*READING, *CHANGING)),
    "ENOSPC": Kind("disk full once", _error(errno.ENOSPC), GROWING),
    "short": Kind("disk full within a write", _short, ("write", "store")),
    "fill": Kind("disk full from then on", _lasting(errno.ENOSPC, GROWING), GROWING),
    "EROFS": Kind("read-only", _error(errno.EROFS), _NAMING),
    "read-only": Kind("read-only", _lasting(errno.EROFS, (*_NAMING, "store")), (*_NAMING, "store")),
    "flip": Kind("bit flipped", _damage(_flip), _SEEN, ("file",)),
    "cut": Kind("file cut", _damage(_cut), _SEEN, ("file",)),
    "older": Kind("older version", _damage(_as_older), ("close", "rename", "open-read"), ("file",)),
    "gone": Kind("removed", _damage(_remove), (*_SEEN, "list", "open-write", "unlink"), ("file", "folder")),
    "as-folder": Kind("another kind", _damage(_as_folder), (*_SEEN, "open-write", "unlink"), ("file",)),
    "as-file": Kind("another kind", _damage(_as_file), (*_SEEN, "list", "mkdir"), ("folder",)),
    "no-run": Kind("run folder removed", _without_run, (*CHANGING, "open-read")),
    "refused": Kind("connection broken", _broken(ConnectionRefusedError, errno.ECONNREFUSED), ("connect",)),
    "reset": Kind("connection broken", _broken(ConnectionResetError, errno.ECONNRESET), ("send", "answer")),
    "hung-up": Kind("connection broken", lambda _, __: b"", ("answer",)),
    **{
        f"answer-{status[:3]}": Kind("answer of the Hub", _answer(status, b'{"error": "no"}'), ("answer",))
        for status in _REFUSALS
    },
    "answer-list": Kind("answer of the Hub", _answer("200 OK", b"[]"), ("answer",)),
    "answer-page": Kind("answer of the Hub", _answer("200 OK", b"<html>"), ("answer",)),
}
KILLS = ("kill-before", "kill-within", "kill-after")
DAMAGES = ("flip", "cut", "older", "gone", "as-folder", "as-file", "no-run")
OF_CONTENT = ("flip", "cut", "older")
