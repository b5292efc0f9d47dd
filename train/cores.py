"""How many CPU threads a process computes with."""

import os

import psutil
import torch
from accelerate.utils import get_int_from_env


def take_cores(device: torch.device) -> None:
    """Share this machine's cores among its processes where `accelerate launch` chose one thread by default.

    The launcher sets OMP_NUM_THREADS=1 unless it is told more, which suits GPUs: a run on a CPU would use one core of
    however many there are. Any other number is kept, and so is one thread without the launcher.

    Args:
        device: that the process computes on; a GPU changes nothing.
    """
    launched = "ACCELERATE_MIXED_PRECISION" in os.environ  # set by every `accelerate launch`
    if device.type != "cpu" or not launched or os.environ.get("OMP_NUM_THREADS") != "1":
        return
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = min(usable, psutil.cpu_count(logical=False) or usable)  # a core's second thread slows convolutions
    torch.set_num_threads(max(1, cores // get_int_from_env(["LOCAL_WORLD_SIZE"], 1)))
