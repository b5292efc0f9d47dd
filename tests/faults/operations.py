"""Operations of a process on its disk and network, named so that the same command names them alike at every start."""

import os
import re
from pathlib import Path
from typing import NamedTuple, Self

READING = ("open-read", "read", "stat", "list", "load")
CHANGING = (
    *("open-write", "write", "store", "close", "sync", "truncate"),
    *("mkdir", "link", "rename", "unlink", "rmdir", "chmod"),
)
NETWORK = ("connect", "send", "answer")
GROWING = ("open-write", "write", "store", "close", "sync", "truncate", "mkdir", "link")  # what a full disk refuses

_RANDOM = re.compile(r"(?<=[.-])(?!\d{8})[a-z0-9_]{8}(?=/|$)")  # of `tempfile`
_EVENTS = re.compile(r"events\.out\.tfevents\.[^/]*")
_OBJECT = re.compile(r"[0-9a-f]{64}")


class Operation(NamedTuple):
    """The `n`th time, from 1 on, that a process does something of one kind in one place."""

    kind: str
    place: str
    n: int

    def __str__(self) -> str:
        return f"{self.kind} {self.place}:{self.n}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` returns."""
        rest, _, n = text.rpartition(":")
        kind, _, place = rest.partition(" ")
        return cls(kind, place, int(n))


def resolved(path: object, dir_fd: int | None = None) -> str | None:
    """Return the absolute path that a path or file descriptor stands for, None if it stands for none."""
    if isinstance(path, int):
        try:
            path = os.readlink(f"/proc/self/fd/{path}").removesuffix(" (deleted)")  # noqa: PTH115
        except OSError:
            return None
    text = os.fsdecode(path)  # type: ignore[call-overload]
    if dir_fd is not None:
        text = os.path.join(os.readlink(f"/proc/self/fd/{dir_fd}"), text)  # noqa: PTH115, PTH118
    return os.path.abspath(text)  # noqa: PTH100 - neither resolves links nor asks the disk


def place_of(path: str | None, root: Path) -> str | None:
    """Name an absolute path below the case's folder; None for all that lies elsewhere."""
    return normalised(path.removeprefix(f"{root}/")) if path is not None and path.startswith(f"{root}/") else None


def normalised(name: str) -> str:
    """Take out of a name what another start of the command calls otherwise: process, time, chance."""
    name = re.sub(rf"(?<=[.-]){os.getpid()}(?=[/.]|$)", "PID", name)
    return _OBJECT.sub("OBJECT", _EVENTS.sub("EVENTS", _RANDOM.sub("RANDOM", name)))


def is_draft(place: str) -> bool:
    """Return whether a place is a process's own until it is renamed."""
    return bool(re.search(r"\.PID([/.]|$)|RANDOM|/\.partial-|\.partial/|\.deleting-", place))


def area(place: str) -> str:
    """Return the part of the product that a place belongs to, for the table."""
    parts = place.split("/")
    if parts[0].startswith(("GET ", "POST ", "PUT ", "HEAD ", "hub")):
        return "hub"
    if parts[0] != "run" or len(parts) == 1:
        name = parts[0].removesuffix(".partial")
        return {"home": "cache", "run": "run folder"}.get(name, name if name in ("data", "model") else "output")
    if parts[1] in ("checkpoints", "samples", "trackers", "evaluations", "outbox"):
        return parts[1]
    return "log" if parts[1].startswith((".scalars", "scalars")) else "run folder"
