"""How long a call takes that is made again and again, as training does, without waiting in between."""

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.machine import seconds


def per_call_s(call: Callable[[], Any], device: torch.device, *, most: int, longest_s: float = 1.0) -> float:
    """Return the seconds of a call, of several in a row that are waited for together.

    Args:
        call: warmed up.
        most: calls, of which fewer are made if they would take longer than `longest_s`.
    """
    once = seconds(call, device)
    calls = max(1, min(most, int(longest_s / max(once, 1e-6))))

    def row() -> None:
        for _ in range(calls):
            call()

    return seconds(row, device) / calls
