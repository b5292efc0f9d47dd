"""Reading files that anybody may have written: none can exhaust the memory or the stack, or make its reader wait."""

import errno
import json
import lzma
import math
import os
import re
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable
from io import BufferedReader
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

MAX_TEXT_BYTES = 16 * 2**20  # of a JSON file or card: 100,000 class names fit
MAX_DEPTH = 64
MAX_DIGITS = 20  # of an integer: seeds of 64 bits fit
# What reading a damaged archive raises: there is no common base class.
ARCHIVE_ERRORS = (
    *(OSError, EOFError, ValueError, LookupError, OverflowError, RuntimeError),
    *(struct.error, zlib.error, lzma.LZMAError, zipfile.BadZipFile),
)
_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON can escape half a character, which no terminal or file can show
_NAMES: dict[type, str] = {dict: "object", list: "list"}


def open_regular(path: str | Path) -> BufferedReader:
    """Open a file to read its bytes.

    Raises:
        OSError: if it cannot be opened, or is no regular file: a pipe would be waited for, and a device may never end.
    """
    check_regular(path)
    return Path(path).open("rb")


def check_regular(path: str | Path) -> None:
    """Raise an OSError if a path leads to no regular file; for readers that open their file themselves."""
    mode = os.stat(path).st_mode  # noqa: PTH116 - Path's differs between versions where a name is too long
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))


def read_bytes(path: Path, form: str, *, error: type[ValueError], name: object = None, limit: int) -> bytes:
    """Read a file; arguments and errors are those of `read_text`."""
    name = path if name is None else name
    try:
        with open_regular(path) as file:
            content = file.read(limit + 1)
            size = max(os.fstat(file.fileno()).st_size, len(content))
    except (OSError, ValueError) as reason:  # the latter of a name with a zero byte
        raise error(f"{name}: cannot be read as {form} ({getattr(reason, 'strerror', None) or reason})") from reason
    if len(content) > limit:
        raise error(f"{name}: {size:,} bytes, at most {limit:,} are read")
    return content


def read_text(path: Path, form: str, *, error: type[ValueError], name: object = None, limit: int) -> str:
    """Read a text in UTF-8.

    Args:
        form: what it should hold, for messages.
        error: what is raised.
        name: what its message begins with; None takes the path.
        limit: bytes that a file may have.
    Raises:
        ValueError: the given kind of it, if the file is missing, no regular file, too large or no text.
    """
    content = read_bytes(path, form, error=error, name=name, limit=limit)
    try:
        return content.decode("utf-8-sig")  # editors on Windows write a byte order mark
    except UnicodeDecodeError as reason:
        raise error(f"{path if name is None else name}: cannot be read as {form} ({reason})") from reason


def read_json(
    path: Path,
    kind: type[T] = dict,  # type: ignore[assignment]  # the default of a type variable
    *,
    error: type[ValueError] = ValueError,
    name: object = None,
    finite: bool = True,
) -> T:
    """Read a JSON file in UTF-8; arguments and errors are those of `read_text` and `parse_json`."""
    text = read_text(path, "JSON", error=error, name=name, limit=MAX_TEXT_BYTES)
    return parse_json(text, kind, error=error, name=path if name is None else name, finite=finite)


def parse_json(
    text: str,
    kind: type[T] = dict,  # type: ignore[assignment]
    *,
    error: type[ValueError] = ValueError,
    name: object,
    finite: bool = True,
) -> T:
    """Parse JSON of at most `MAX_DEPTH` levels and `MAX_DIGITS` digits an integer, without repeated keys.

    Args:
        text: one JSON value.
        kind: type of the value; `object` allows all.
        error: what is raised.
        name: what its message begins with.
        finite: refuse NaN and infinities, which JSON does not have and Python writes; else they are read as None.
    Raises:
        ValueError: the given kind of it, in one line.
    """

    def number(text: str) -> float | None:
        value = float(text)
        if finite and not math.isfinite(value):
            raise ValueError(f"{text[:20]} is no finite number")
        return value if math.isfinite(value) else None

    try:
        value = json.loads(text, parse_float=number, parse_constant=number, object_pairs_hook=_without_repeats)
        check_tree(value)
    except RecursionError as reason:
        raise error(f"{name}: cannot be read as JSON (nested too deeply)") from reason
    except ValueError as reason:
        raise error(f"{name}: cannot be read as JSON ({str(reason)[:100]})") from reason
    if not isinstance(value, kind):
        raise error(f"{name}: a JSON {_NAMES[kind]} is expected, there is a {type(value).__name__}")
    return value


def check_tree(value: object) -> None:
    """Raise a ValueError if a value of dictionaries and lists is nested too deeply or holds half a character."""
    level = [value]
    for _ in range(MAX_DEPTH):
        if any(isinstance(item, str) and _SURROGATE.search(item) for item in level):
            raise ValueError("half of a surrogate pair is no character")
        if any(isinstance(item, int) and abs(item) >= 10**MAX_DIGITS for item in level):
            raise ValueError(f"an integer of more than {MAX_DIGITS} digits")
        level = [inner for item in level for inner in _children(item)]
        if not level:
            return
    raise ValueError(f"nested too deeply, at most {MAX_DEPTH} levels are read")


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return (*value, *value.values())
    return value if isinstance(value, list) else ()


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        (repeated, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {repeated[:40]!r} stands twice")
    return values
