"""What stands between a process and its disk and network: it counts operations, and strikes at one of them.

Python reaches the disk by functions of `os`, by `open`, and by the two functions of safetensors that read and write;
`Injector.install` replaces them, in this process and for good. A file that is opened below the case's folder is the
real one under Python's own buffers, so that a write is what the system would be asked to write. The Hub is reached by
sockets, whose methods are replaced likewise; an operation there is named by the request. What native code does by
itself (memory maps, the exchange between ranks) is left out.
"""

import builtins
import io
import json
import os
import re
import socket
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults.operations import Operation, place_of, resolved

_OF_OS = {  # name in `os` to the kind of operation, all of whose first argument is a path
    **{"stat": "stat", "lstat": "stat", "listdir": "list", "scandir": "list", "mkdir": "mkdir", "chmod": "chmod"},
    **{"unlink": "unlink", "remove": "unlink", "rmdir": "rmdir", "fsync": "sync", "truncate": "truncate"},
    **{"rename": "rename", "replace": "rename", "link": "link", "symlink": "link"},
}
_REQUEST = re.compile(rb"(GET|HEAD|POST|PUT|DELETE) (/[^ ?]*)")
LONGEST_WAIT_S = 0.05  # between two tries of the Hub: time.sleep


class Deed(NamedTuple):
    """An operation that is about to be done.

    Args:
        named: path as the process gave it, None where it gave a file; what an error of the system would name.
        path: absolute, or the socket.
        do: does it, and returns what it gives.
        half: does a part of it, as a kill or a full disk would; None where there are no parts.
    """

    operation: Operation
    named: str | None
    path: Any
    do: Callable[[], Any]
    half: Callable[[], Any] | None


class Injector:
    """Counts the operations of a process below a folder, writes them down, and strikes at one.

    Args:
        root: the case's folder.
        hub_port: of the Hub; calls to other ports are left alone.
        strikes: called with each deed; does it, with the fault if it is the one. None lets all happen.
        record: file that gets a line of JSON for each operation.
    """

    def __init__(
        self, root: Path, *, hub_port: int, strikes: Callable[[Deed], Any] | None = None, record: Path | None = None
    ) -> None:
        self.root, self.hub_port, self.strikes = root, hub_port, strikes
        self.own = threading.local()  # what a fault does itself is no operation
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self._record = None if record is None else os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._requests: weakref.WeakKeyDictionary[socket.socket, str] = weakref.WeakKeyDictionary()

    def perform(
        self,
        kind: str,
        path: Any,
        do: Callable[[], Any],
        half: Callable[[], Any] | None = None,
        *,
        dir_fd: int | None = None,
        by_file: bool = False,
        endpoint: str | None = None,
    ) -> Any:
        """Do an operation, with the fault if it is the one; arguments are those of a `Deed`.

        Args:
            path: or file descriptor, as the process gave it; a socket where there is an `endpoint`.
            by_file: the process gave a file that it had opened by this path.
        """
        if getattr(self.own, "busy", False):
            return do()
        absolute = path if endpoint else resolved(path, dir_fd)
        place = endpoint or place_of(absolute, self.root)
        if place is None:
            return do()
        with self._lock:
            self._counts[kind, place] += 1
            operation = Operation(kind, place, self._counts[kind, place])
        named = None if by_file or endpoint or isinstance(path, int) else os.fsdecode(path)
        self.own.busy = True
        try:
            if self._record is not None:
                there = "none" if endpoint else _shape(absolute)
                os.write(self._record, (json.dumps([*operation, there]) + "\n").encode())
            return do() if self.strikes is None else self.strikes(Deed(operation, named, absolute, do, half))
        finally:
            self.own.busy = False

    def install(self) -> None:
        """Replace what the process reaches disk and network with."""
        for name, kind in _OF_OS.items():
            setattr(os, name, self._wrapped(kind, getattr(os, name)))
        self._install_open()
        self._install_safetensors()
        self._install_sockets()
        sleep = time.sleep
        time.sleep = lambda seconds: sleep(min(seconds, LONGEST_WAIT_S) if _is_publisher() else seconds)

    def _wrapped(self, kind: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(path: Any = ".", *args: Any, **options: Any) -> Any:
            subject = args[0] if kind in ("rename", "link") else path  # by its new name
            fd = next((v for k, v in options.items() if k.endswith("dir_fd") and v is not None), None)
            return self.perform(kind, subject, lambda: call(path, *args, **options), dir_fd=fd)

        return wrapper

    def _install_open(self) -> None:
        os_open, io_open, injector = os.open, io.open, self

        def low(path: Any, flags: int, *args: Any, dir_fd: int | None = None, **options: Any) -> int:
            kind = "open-write" if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) else "open-read"
            do = lambda: os_open(path, flags, *args, dir_fd=dir_fd, **options)  # noqa: E731
            return injector.perform(kind, path, do, dir_fd=dir_fd)

        def high(
            file: Any, mode: str = "r", buffering: int = -1, encoding: Any = None, errors: Any = None,
            newline: Any = None, closefd: bool = True, opener: Any = None,
        ) -> Any:  # fmt: skip
            if getattr(injector.own, "busy", False) or place_of(resolved(file), injector.root) is None:
                return io_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
            raw_mode = mode.replace("b", "").replace("t", "").replace("U", "")
            kind = "open-read" if raw_mode == "r" else "open-write"
            raw = injector.perform(kind, file, lambda: _File(injector, file, raw_mode, closefd, opener))
            if buffering == 0:
                return raw
            buffer: Any = io.BufferedReader if raw_mode == "r" else io.BufferedWriter
            buffered = (io.BufferedRandom if "+" in raw_mode else buffer)(raw)
            if "b" in mode:
                return buffered
            text = io.TextIOWrapper(buffered, encoding, errors, newline, line_buffering=buffering == 1)
            text.mode = mode  # type: ignore[misc]
            return text

        os.open = low
        io.open = builtins.open = high

    def _install_safetensors(self) -> None:
        import safetensors.torch as library

        import sngan_cond.hub.weights as weights
        import train.evaluation.classifier_file as classifier_file
        import train.evaluation.real_features as real_features

        load, store = library.safe_open, library.serialize_file

        def loading(path: Any, *args: Any, **options: Any) -> Any:
            return self.perform("load", path, lambda: load(path, *args, **options))

        def storing(tensors: Any, path: Any, **options: Any) -> None:
            def half() -> None:  # it writes beside the name and renames
                store(tensors, path, **options)
                os.rename(path, f"{path}.tmp")  # noqa: PTH104
                os.truncate(f"{path}.tmp", os.stat(f"{path}.tmp").st_size // 2)  # noqa: PTH116

            self.perform("store", path, lambda: store(tensors, path, **options), half)

        for module in (library, weights, classifier_file, real_features):
            module.safe_open = loading  # type: ignore[attr-defined]
        library.serialize_file = storing

    def _install_sockets(self) -> None:
        connect, send, receive = socket.socket.connect, socket.socket.send, socket.socket.recv
        send_all = socket.socket.sendall

        def connecting(self_: socket.socket, address: Any) -> Any:
            known = isinstance(address, tuple) and address[1] == self.hub_port
            if not known:
                return connect(self_, address)
            self.perform("connect", self_, lambda: connect(self_, address), endpoint="hub")
            self._requests[self_] = "hub"

        def sending(call: Callable[..., Any]) -> Callable[..., Any]:
            def wrapper(self_: socket.socket, data: Any, *flags: int) -> Any:
                if self_ not in self._requests or not (head := _REQUEST.match(bytes(data[:4096]))):
                    return call(self_, data, *flags)  # a body belongs to the request before it
                self._requests[self_] = place = f"{head[1].decode()} {_endpoint(head[2].decode())}"
                return self.perform("send", self_, lambda: call(self_, data, *flags), endpoint=place)

            return wrapper

        def receiving(self_: socket.socket, size: int, *flags: int) -> bytes:
            place = self._requests.get(self_)
            if place in (None, "hub"):
                return receive(self_, size, *flags)
            self._requests[self_] = "hub"  # the rest of the answer is no operation of its own
            return self.perform("answer", self_, lambda: receive(self_, size, *flags), endpoint=place)

        socket.socket.connect = connecting  # type: ignore[method-assign, assignment]
        socket.socket.send, socket.socket.sendall = sending(send), sending(send_all)  # type: ignore[method-assign]
        socket.socket.recv = receiving  # type: ignore[method-assign, assignment]


class _File(io.FileIO):
    """The real file, below Python's buffers."""

    def __init__(self, injector: Injector, path: Any, mode: str, closefd: bool, opener: Any) -> None:
        self._closes = False  # not until it is open
        super().__init__(path, mode, closefd, opener)
        self._injector, self._path, self._closes = injector, path, True

    def write(self, data: Any) -> int:
        """Write, counted."""
        half = memoryview(data)[: len(data) // 2]
        write = super().write
        return int(self._do("write", lambda: write(data), lambda: write(half)))

    def readinto(self, buffer: Any) -> int:
        """Read, counted."""
        read = super().readinto
        return int(self._do("read", lambda: read(buffer)))

    def readall(self) -> bytes:
        """Read, counted."""
        read = super().readall
        return bytes(self._do("read", read))

    def close(self) -> None:
        """Close, counted where something may have been written."""
        closes, self._closes = self._closes and not self.closed, False
        if closes and self.writable():
            self._do("close", super().close)
        super().close()

    def _do(self, kind: str, do: Callable[[], Any], half: Callable[[], Any] | None = None) -> Any:
        return self._injector.perform(kind, self._path, do, half, by_file=True)


def _is_publisher() -> bool:
    return threading.current_thread().name == "publisher"


def _endpoint(path: str) -> str:
    return re.sub(r"[0-9a-f]{40,64}", "OBJECT", path)


def _shape(path: str) -> str:
    """Say what is there."""
    return "folder" if os.path.isdir(path) else "file" if os.path.isfile(path) else "none"  # noqa: PTH112, PTH113
