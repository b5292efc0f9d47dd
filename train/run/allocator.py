"""glibc's allocator, told to keep what it has: on a CPU, returning large blocks at every update costs 1.3x to 2x."""

import os
import platform
import sys
from pathlib import Path

SETTINGS = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "200000000000"}


def reexec_with_fast_allocator(module: str) -> None:
    """Start this process again with the settings, which glibc reads once, before Python begins.

    Nothing happens if any of them is set already, under another C library, or on a machine with an NVIDIA GPU.
    Call it before torch is imported.

    Args:
        module: what `python -m` runs.
    """
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in SETTINGS):
        return
    if Path("/dev/nvidiactl").exists():
        return
    os.execve(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]], {**os.environ, **SETTINGS})
