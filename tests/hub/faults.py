"""Ways in which the Hub stand-in fails, for each of its endpoints.

    hub.faults.set("commit", Stall())               # every commit, until `hub.faults.clear()`
    hub.faults.set("resolve", Drip(), times=1)      # the next download alone
    hub.faults.set("*", Reset(), skip=6, times=1)   # the seventh request, whatever it asks for

`ENDPOINTS` lists the names; "head" is what precedes a download. `hub.faults.met` has (endpoint, fault) in the order in
which requests met them. A fault is one of the classes below; `JSON_OF_ANOTHER_SHAPE` has answers that a client may trip
over.
"""

import contextlib
import select
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import Any

_BESIDE_S = 0.02  # how often a held request looks whether its client is still there


@dataclass(frozen=True)
class Fault:
    """What becomes of a request: `before` may answer in place of the endpoint, `send` writes the endpoint's answer."""

    def before(self, handler: Any) -> bool:
        """Return whether the request is dealt with."""
        return False

    def send(self, handler: Any, content: bytes) -> None:
        """Write a body whose headers are sent."""
        handler.wfile.write(content)


class Stall(Fault):
    """The request is read and never answered."""

    def before(self, handler: Any) -> bool:
        _hold(handler)
        return True


@dataclass(frozen=True)
class DripHeaders(Fault):
    """A header comes one byte at a time, and does not end.

    Args:
        every_s: seconds between two bytes.
    """

    every_s: float = 1.0

    def before(self, handler: Any) -> bool:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Comment: ")
        while not _gone(handler, self.every_s):
            handler.wfile.write(b"x")
        return True


class StallInBody(Fault):
    """Headers and half of the body come, and then nothing."""

    def send(self, handler: Any, content: bytes) -> None:
        handler.wfile.write(content[: len(content) // 2])
        _hold(handler)


@dataclass(frozen=True)
class Drip(Fault):
    """The body comes a little at a time.

    Args:
        every_s: seconds between two pieces.
        chunk: bytes of a piece.
    """

    every_s: float = 1.0
    chunk: int = 1

    def send(self, handler: Any, content: bytes) -> None:
        for start in range(0, len(content), self.chunk):
            handler.wfile.write(content[start : start + self.chunk])
            if _gone(handler, self.every_s):
                return


class Reset(Fault):
    """The connection is cut before an answer."""

    def before(self, handler: Any) -> bool:
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.close_connection = True
        handler.server.shutdown_request(handler.connection)
        return True


@dataclass(frozen=True)
class Answer(Fault):
    """Another answer than the endpoint's, which does nothing.

    Args:
        status: of HTTP.
        content: sent after the headers, whole.
        headers: beside its type, HTML where it begins with "<", JSON else.
    """

    status: int = 200
    content: bytes = b'{"error": "a fault"}'
    headers: dict[str, str] = field(default_factory=dict)

    def before(self, handler: Any) -> bool:
        kind = "text/html" if self.content.startswith(b"<") else "application/json"
        handler.answer(self.status, self.content, {"Content-Type": kind, **self.headers})
        return True


JSON_OF_ANOTHER_SHAPE = {
    "a list": Answer(content=b"[1, 2]"),
    "no key": Answer(content=b"{}"),
    "null": Answer(content=b"null"),
    "other types": Answer(content=b'{"sha": 3, "commitOid": 3, "files": [3], "objects": 3, "siblings": [3]}'),
    "cut short": Answer(content=b'{"sha": "00'),
    "too deep": Answer(content=b"[" * 100_000),
    "a page": Answer(content=b"<html>Welcome to the hotel's network</html>"),
}


class Faults:
    """Which requests fail next; to be changed from any thread."""

    def __init__(self) -> None:
        self.met: list[tuple[str, Fault]] = []
        self._set: dict[str, tuple[Fault, int, int | None]] = {}
        self._lock = threading.Lock()

    def set(self, endpoint: str, fault: Fault, *, times: int | None = None, skip: int = 0) -> None:
        """Let an endpoint fail from now on.

        Args:
            endpoint: one of `ENDPOINTS`, or "*" for all that have no fault of their own.
            times: so many requests; None is all.
            skip: requests that are answered before the first fails.
        """
        with self._lock:
            self._set[endpoint] = fault, skip, times

    def clear(self) -> None:
        """Let no request fail, and forget those that did."""
        with self._lock:
            self._set.clear()
            self.met.clear()

    def take(self, endpoint: str) -> Fault | None:
        """Return the fault that a request meets, None if it meets none."""
        with self._lock:
            key = endpoint if endpoint in self._set else "*"
            fault, skip, times = self._set.get(key, (None, 0, 0))
            if fault is None or times == 0:
                return None
            self._set[key] = fault, max(0, skip - 1), times if skip or times is None else times - 1
            if skip:
                return None
            self.met.append((endpoint, fault))
            return fault


def _gone(handler: Any, longest_s: float) -> bool:
    """Wait; return at once if the client has closed the connection, or the stand-in has cut it."""
    with contextlib.suppress(OSError):
        readable, _, _ = select.select([handler.connection], [], [], longest_s)
        return bool(readable) and not handler.connection.recv(1, socket.MSG_PEEK)
    return True


def _hold(handler: Any) -> None:
    handler.close_connection = True
    while not _gone(handler, _BESIDE_S):
        pass
