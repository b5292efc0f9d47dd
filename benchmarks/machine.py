"""What the benchmarks share: a description of the machine, its matrix peak, quartiles, peak memory."""

import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch

from sngan_cond.fast import native
from sngan_cond.fast.matmul import multiply

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"

K = TypeVar("K")
Clock = Callable[[], float]
WALL: Clock = time.perf_counter


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Return what a figure depends on beside the code, the load that other processes make included."""
    cpu = next((line for line in _cpuinfo() if line.startswith("model name")), "").partition(":")[2].strip()
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else cpu or platform.machine(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_1_min": round(os.getloadavg()[0], 2),
        "torch": torch.__version__,
        "commit": _commit(),
    }


def write_result(path: Path, result: dict[str, Any]) -> None:
    """Write a measurement as JSON, into a folder that is made, and say where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written to {path}")


def computes_in_bf16(device: torch.device) -> bool:
    """Return whether a device multiplies bfloat16 in hardware; others take many times as long as in float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    flags = next((line for line in _cpuinfo() if line.startswith(("flags", "Features"))), "")
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags.split())


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def _commit() -> str:
    line = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(line, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def wait(device: torch.device) -> None:
    """Wait until a device has finished all work queued on it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(function: Callable[[], Any], device: torch.device, clock: Clock = WALL) -> float:
    """Time one call, from idle to idle."""
    wait(device)
    start = clock()
    function()
    wait(device)
    return clock() - start


def in_turn(
    calls: Mapping[K, Callable[[], Any]], rounds: int, device: torch.device, clock: Clock, *, deadline: float = math.inf
) -> dict[K, list[float]]:
    """Time calls one after another, round by round, so that what else the machine does meets all of them.

    Args:
        clock: in seconds; processor time does not see what else the machine does, and is right for one thread only.
        deadline: of `time.perf_counter`, after which no round begins.
    """
    times: dict[K, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(seconds(call, device, clock))
        if time.perf_counter() > deadline:
            break
    return times


def median_ratio(reference: Sequence[float], ours: Sequence[float]) -> float:
    """Return how many times as fast ours is, from seconds taken in turn."""
    return quartiles([reference_s / ours_s for reference_s, ours_s in zip(reference, ours, strict=True)])[1]


def quartiles(values: Sequence[float]) -> list[float]:
    """Return lower quartile, median and upper quartile."""
    if len(values) < 2:
        return [values[0]] * 3
    return statistics.quantiles(values, n=4, method="inclusive")


def matrix_peak(dtype: torch.dtype, device: torch.device) -> float:
    """Measure the best FLOP/s of one large square matrix product in a type, by PyTorch or by the package's kernel."""
    side = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    products = [torch.matmul]
    if device.type == "cpu" and native.available():
        products.append(multiply)
    best = min(seconds(lambda: product(a, b), device) for product in products for _ in range(5))  # noqa: B023
    return 2 * side**3 / best


def process_bytes(pid: int | str, key: str) -> int:
    """Return a figure of a process's memory, VmRSS for now and VmHWM for its peak, as Linux counts it."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{key}:")).split()[1]) * 1024


def peak_memory_bytes(device: torch.device) -> int:
    """Return the most memory held so far: of the device's allocator, or of this process.

    Not by getrusage where the kernel says more: its figure starts with what the parent process held.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if Path("/proc/self/status").exists():
        return process_bytes("self", "VmHWM")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
