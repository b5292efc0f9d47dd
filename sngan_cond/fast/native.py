"""The element-wise halves of the fast convolutions, compiled for this CPU at first use and kept in a cache folder.

Where there is no C++ compiler nothing is built, and the forms that need it are not chosen. Set SNGAN_COND_NATIVE=0 to
do without.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch
from torch import Tensor

_SOURCE = Path(__file__).with_name("native.cpp")
_FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fopenmp", "-fPIC", "-shared", "-std=c++17")
_SUFFIX = {torch.float32: "f32", torch.bfloat16: "bf16"}


def available() -> bool:
    """Return whether the kernels can be used; builds them at the first call."""
    return _library() is not None


def supports(dtype: torch.dtype) -> bool:
    """Return whether there are kernels for a type."""
    return dtype in _SUFFIX


def run(name: str, like: Tensor, *arguments: Tensor | int | None) -> None:
    """Call a kernel.

    Args:
        name: of the kernel in native.cpp, without its type.
        like: tensor whose type says which version.
        arguments: in the kernel's order; tensors must be contiguous, None is a null pointer.
    """
    library = _library()
    assert library is not None
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
        facts = (compiler, *_FLAGS, platform.machine(), _cpu_flags(), _SOURCE.read_text())
        digest = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sngan_cond"
        target = folder / f"native-{digest}.so"
        if not target.exists():
            _build(compiler, target)
        return ctypes.CDLL(str(target))
    except (OSError, RuntimeError, subprocess.SubprocessError):  # RuntimeError: there is no home
        return None


def _build(compiler: str, target: Path) -> None:
    """Compile beside the target and rename, so that processes that build at once do not disturb each other."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        built = Path(folder) / target.name
        subprocess.run([compiler, *_FLAGS, str(_SOURCE), "-o", str(built)], check=True, capture_output=True)
        built.replace(target)


def _cpu_flags() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
