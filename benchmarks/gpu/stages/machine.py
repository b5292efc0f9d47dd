"""What every figure depends on: card, driver, versions, commit."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version

import torch

from benchmarks.gpu.campaign import Campaign, Rows
from benchmarks.machine import describe_machine, matrix_peak
from sngan_cond.fast.eager import has_triton

PACKAGES = ("triton", "accelerate", "numpy", "huggingface-hub", "pydantic", "torch-fidelity")
TITLE = "Machine"


def describe(campaign: Campaign) -> Rows:
    """Say what the machine is, and measure its matrix peak in both types."""
    device = torch.device(campaign.device)
    found = describe_machine(device)
    known = {
        "device": found["device"],
        "driver and memory": _card(),
        "processors": found["processors"],
        "commit": campaign.commit or found["commit"],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda, cudnn": f"{torch.version.cuda}, {torch.backends.cudnn.version()}" if device.type == "cuda" else None,
        **{name: _version(name) for name in PACKAGES},
        "our kernels in Triton": "run" if has_triton() else "do not run here; PyTorch's operators take their place",
        "load": f"{os.getloadavg()[0]:.2f} in the last minute",
    }
    for what, value in known.items():
        yield TITLE, {"what": what, "is": None if value is None else str(value)}
    for dtype in (torch.float32, torch.bfloat16):
        side = "8192" if device.type == "cuda" else "2048"
        peak = matrix_peak(dtype, device)
        yield "Matrix products", {"type": str(dtype).removeprefix("torch."), "side": side, "TFLOP/s": peak / 1e12}


def _card() -> str | None:
    """Return driver and memory as NVIDIA's own tool says them."""
    line = ["nvidia-smi", "--query-gpu=driver_version,memory.total", "--format=csv,noheader"]
    try:
        return subprocess.run(line, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
