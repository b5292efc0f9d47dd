"""The kernels of native.cpp, compiled for this CPU at first use, kept in a cache folder, and called through ctypes.

Where there is no C++ compiler nothing is built, and the backends that need the kernels are not chosen. Set
SNGAN_COND_NATIVE=0 to do without them.
"""

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from sngan_cond.cache import cache_folder

logger = logging.getLogger(__name__)

_SOURCE = Path(__file__).with_name("native.cpp")
_HEADERS = tuple(sorted(_SOURCE.with_name("kernels").glob("*.h")))
# Built where it runs, so for exactly this processor. Not -ffast-math: it would let the compiler drop tests for NaN.
_FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fopenmp", "-fPIC", "-shared", "-std=c++17")
_SUFFIX = {torch.float32: "f32", torch.bfloat16: "bf16"}


def available() -> bool:
    """Return whether the kernels can be used; builds them at the first call."""
    return _library() is not None


def supports(dtype: torch.dtype) -> bool:
    """Return whether the kernels were compiled for this element type."""
    return dtype in _SUFFIX


def run(name: str, like: Tensor, *arguments: Tensor | int | None) -> None:
    """Call a kernel.

    Args:
        name: entry point in native.cpp without the suffix of its element type.
        like: tensor of that element type; others may have float32 arguments beside it.
        arguments: in the kernel's order; tensors must be contiguous, None is a null pointer.
    """
    library = _library()
    assert library is not None
    # Explicit C types: ctypes would pass a plain Python integer as a 32-bit int, and cut off an address.
    converted: list[ctypes.c_void_p | ctypes.c_long] = []
    for argument in arguments:
        if isinstance(argument, Tensor):
            assert argument.is_contiguous()
            converted.append(ctypes.c_void_p(argument.data_ptr()))
        else:
            converted.append(ctypes.c_void_p(None) if argument is None else ctypes.c_long(argument))
    library[f"{name}_{_SUFFIX[like.dtype]}"](*converted)


@functools.cache
def _library() -> ctypes.CDLL | None:
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None or os.environ.get("SNGAN_COND_NATIVE") == "0" or platform.system() != "Linux":
        return None
    try:
        # The file's name says all that the machine code depends on: a home shared by several kinds of machine holds a
        # build for each, and an upgrade never loads an older one.
        sources = [path.read_text() for path in (_SOURCE, *_HEADERS)]
        build = (compiler, *_FLAGS, platform.machine(), _cpu_flags(), *sources)
        digest = hashlib.sha256("\n".join(build).encode()).hexdigest()[:16]
        target = cache_folder() / f"native-{digest}.so"
        if not target.exists():
            _build(compiler, target)
        return ctypes.CDLL(str(target))
    except (OSError, RuntimeError, subprocess.SubprocessError):  # RuntimeError: there is no home
        return None


def _build(compiler: str, target: Path) -> None:
    """Compile beside the target and rename, so that processes that build at the same time do not load half a file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        # Only here: where the folder cannot be written to, nothing is compiled, and PyTorch's own kernels run.
        logger.warning("compiling kernels for this processor, once, about 3 s: %s", target)
        built = Path(folder) / target.name
        subprocess.run([compiler, *_FLAGS, str(_SOURCE), "-o", str(built)], check=True, capture_output=True)
        built.replace(target)


def _cpu_flags() -> str:
    """Return the line of /proc/cpuinfo that lists instruction sets; -march=native compiles for these."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
