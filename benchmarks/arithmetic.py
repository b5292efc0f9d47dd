"""The arithmetic of an update: FLOP as executed, and what part of the device's measured peak they reach."""

import functools
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import matrix_peak
from benchmarks.sides import GlobalSettings, Side


def count_flop(side: Side) -> dict[str, int]:
    """Count the FLOP of each update of an eager side while it runs."""
    flop = {}
    for update in "dg":
        with FlopCounterMode(display=False) as counter:
            side.update(update)
        flop[update] = counter.get_total_flops()
    return flop


def add_shares(figures: dict[str, Any], flop: dict[str, int], device: torch.device) -> None:
    """Add FLOP, FLOP/s and their share of the measured peak to the figures of a side, of `compare`.

    Args:
        flop: of the update "d" and of "g", as executed.
    """
    dtype = torch.bfloat16 if figures["bf16"] else torch.float32
    figures["peak_flop_per_s"] = peak = _peak(dtype, figures["tf32"], device)
    for update in "dg":
        rate = flop[update] / figures[f"{update}_update_s"]
        figures |= {
            f"{update}_flop": flop[update],
            f"{update}_flop_per_s": rate,
            f"{update}_share_of_peak": rate / peak,
        }


@functools.cache
def _peak(dtype: torch.dtype, tf32: bool, device: torch.device) -> float:
    with GlobalSettings(tf32, cudnn_benchmark=False).applied():
        return matrix_peak(dtype, device)
