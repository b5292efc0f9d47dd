"""The one reader of NumPy's `.npy` format: what a header says is checked before anything is allocated for it."""

import math
import re
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from sngan_cond.stored import open_regular

_MAGIC = b"\x93NUMPY"
_MAX_HEADER_BYTES = 4096
_MAX_AXES = 8
_PAIR = (
    rb"""\s*['"](descr|fortran_order|shape)['"]\s*:\s*(['"][<>|=]?[A-Za-z?]\d{0,4}['"]|True|False|\([\dL, ]*\))\s*"""
)
_HEADER = re.compile(rb"\s*\{" + rb",".join([_PAIR] * 3) + rb",?\s*\}\s*")


class NpyError(ValueError):
    """A file is no whole array of numbers; the message says why."""


class NpyHeader(NamedTuple):
    """What a `.npy` says of its array.

    Args:
        fortran: whether the first index runs fastest.
        start: where the values begin, in bytes.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    start: int

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize

    def array(self, content: bytes) -> np.ndarray[Any, Any]:
        """Return the array that has these bytes."""
        if len(content) != self.size:
            raise NpyError(f"holds {len(content):,} bytes of values, its header asks for {self.size:,}")
        return np.frombuffer(content, self.dtype).reshape(self.shape, order="F" if self.fortran else "C")


def read_npy_header(file: IO[bytes]) -> NpyHeader:
    """Read the header of a `.npy`, and leave the file where the values begin.

    Raises:
        NpyError: if there is none, or it is of anything but real numbers and truths: objects would be unpickled.
    """
    start = file.read(8)
    if start[:6] != _MAGIC or start[6:] not in (b"\1\0", b"\2\0", b"\3\0"):
        raise NpyError("does not begin as a .npy does")
    width = 2 if start[6] == 1 else 4
    length = int.from_bytes(file.read(width), "little")
    if length > _MAX_HEADER_BYTES:
        raise NpyError(f"a header of {length:,} bytes, at most {_MAX_HEADER_BYTES:,} are read")
    text = file.read(length)
    found = _HEADER.fullmatch(text)
    pairs = dict(zip(found.groups()[::2], found.groups()[1::2], strict=True)) if found else {}
    try:
        descr, order, sides = (pairs[key].decode() for key in (b"descr", b"fortran_order", b"shape"))
        shape = tuple(int(side.strip(" L")) for side in sides.strip("()").split(",") if side.strip())
        dtype = np.dtype(descr[1:-1])
        fortran = {"True": True, "False": False}[order]
    except (KeyError, TypeError, ValueError) as error:
        raise NpyError(f"its header is none of an array of numbers: {text[:60]!r}") from error
    if dtype.kind not in "biuf":
        raise NpyError(f"is of type {dtype}; numbers are allowed")
    if len(shape) > _MAX_AXES or math.prod(side or 1 for side in shape) >= 2**48:  # NumPy counts so too
        raise NpyError(f"an array of {len(shape)} axes, up to {max(shape):,} long: no memory holds it")
    return NpyHeader(shape, dtype, fortran, 8 + width + length)


def map_npy(path: str | Path) -> np.ndarray[Any, Any]:
    """Map the array of a `.npy` into memory, read-only: nothing is allocated for it.

    Raises:
        NpyError: if it is no whole array of numbers.
        OSError: if it cannot be read, or is no regular file.
    """
    with open_regular(path) as file:
        header = read_npy_header(file)
        held = file.seek(0, 2) - header.start
    if held != header.size:
        raise NpyError(f"holds {held:,} bytes of values, its header {header.shape} asks for {header.size:,}")
    if not held:
        return np.empty(header.shape, header.dtype)
    order: Any = "F" if header.fortran else "C"
    return np.memmap(path, header.dtype, "r", header.start, header.shape, order)
