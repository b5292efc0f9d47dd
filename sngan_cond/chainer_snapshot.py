"""A file of the official trainer, read array by array: what sizes it tells, and whether it holds what it should."""

import contextlib
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from sngan_cond.plans import StagePlan, plan_for

# Number of the last residual block to side in pixels, of gen_models/resnet*.py (where numbering starts at 2) and
# dis_models/snresnet*.py (from 1). 48 px has no official code.
_RESOLUTION_OF_LAST_BLOCK = {4: 32, 5: 64, 6: 128, 7: 256}
_LISTED = 5  # keys named in one message


class ChainerSnapshot:
    """The arrays of one `.npz` file, with errors that name it; nothing is unpickled.

    Args:
        npz: the file.
        network: what it should hold.
    Raises:
        ValueError: if the file cannot be read.
    """

    def __init__(self, npz: str | Path, *, network: Literal["generator", "discriminator"]) -> None:
        self.path = npz
        self.network = network
        self.arrays = _read(npz)

    def plan(self) -> tuple[int, StagePlan]:
        """Return the side in pixels, told by the number of residual blocks, and its plan."""
        own, other = ("l1/W", "block1/c1/W") if self.network == "generator" else ("block1/c1/W", "l1/W")
        if own not in self.arrays and other in self.arrays:
            raise ValueError(f"{self.path}: holds {other!r} and no {own!r}, so it is no {self.network}'s snapshot")
        numbers = [int(match[1]) for key in self.arrays if (match := re.match(r"block(\d{1,3})/", key))]
        last = max(numbers, default=0)
        if last not in _RESOLUTION_OF_LAST_BLOCK:
            raise ValueError(
                f"{self.path}: no official {self.network} ends with residual block {last}; those of "
                f"{_RESOLUTION_OF_LAST_BLOCK} px do (block: px); the file's keys are {_few(self.arrays)}"
            )
        resolution = _RESOLUTION_OF_LAST_BLOCK[last]
        return resolution, plan_for(resolution)

    def shape(self, key: str, axes: int) -> tuple[int, ...]:
        """Return the shape of one array that tells a size."""
        if key not in self.arrays:
            raise ValueError(f"{self.path}: the key {key!r} is missing; the file's keys are {_few(self.arrays)}")
        shape: tuple[int, ...] = self.arrays[key].shape
        if len(shape) != axes:
            raise ValueError(f"{self.path}: {key!r} has shape {shape}; {axes} axes are allowed")
        return shape

    def check(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Refuse unknown keys, missing keys, other shapes, and what is not a finite number."""
        unknown, missing = set(self.arrays) - set(shapes), set(shapes) - set(self.arrays)
        wrong = [f"unknown keys {_few(unknown)}"] if unknown else []
        wrong += [f"missing keys {_few(missing)}"] if missing else []
        if wrong:
            raise ValueError(f"{self.path}: not an official {self.network}'s snapshot: {'; '.join(wrong)}")
        wrong = [
            f"{key!r} has shape {self.arrays[key].shape}, {shape} is allowed"
            for key, shape in sorted(shapes.items())
            if self.arrays[key].shape != shape
        ]
        if wrong:
            more = f"; {len(wrong) - _LISTED} more do not fit" if len(wrong) > _LISTED else ""
            raise ValueError(f"{self.path}: {'; '.join(wrong[:_LISTED])}{more}")
        for key, array in self.arrays.items():
            if array.dtype.kind not in ("iu" if key.endswith("/N") else "f"):
                raise ValueError(f"{self.path}: {key!r} is of type {array.dtype}; numbers as Chainer saves are allowed")
            if not self.tensor(key).isfinite().all():
                raise ValueError(f"{self.path}: {key!r} holds values that are not finite")

    def tensor(self, key: str) -> Tensor:
        """Return a copy of one array: float32, or int64 for a counter."""
        array = self.arrays[key]
        with np.errstate(over="ignore"):  # becomes infinite, which `check` refuses
            return torch.from_numpy(array.astype(np.float32 if array.dtype.kind == "f" else np.int64))

    @contextlib.contextmanager
    def named_in_errors(self) -> Iterator[None]:
        """Put the file before the message of a refused configuration."""
        try:
            yield
        except ValueError as error:
            raise ValueError(f"{self.path}: {str(error).removeprefix(f'{self.path}: ')}") from error


def _read(npz: str | Path) -> dict[str, np.ndarray[Any, Any]]:
    """Read every array of a file; nothing is unpickled."""
    try:
        with Path(npz).open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if not isinstance(loaded, np.lib.npyio.NpzFile):
                raise ValueError("one array, not an .npz")
            with loaded:
                return {key: loaded[key] for key in loaded.files}
    except FileNotFoundError as error:
        raise ValueError(f"{npz}: no such file") from error
    except (OSError, EOFError, ValueError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{npz}: not a readable .npz snapshot ({' '.join(str(error).split())[:200]})") from error


def _few(keys: Iterable[str]) -> str:
    """List a few keys by name."""
    names = sorted(keys)
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(f"{name[:80]!r}" for name in names[:_LISTED]) + more if names else "none"
