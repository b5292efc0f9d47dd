"""Stages for the tests of a campaign: one that hangs, one that fails, one that works."""

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.gpu.campaign import Campaign, Rows


def hang(campaign: Campaign) -> Rows:
    """Find one thing, start a process, and never end."""
    yield "Before it hung", {"way": "first | half", "ms": 1234.5, "nothing": None}
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (Path(campaign.out) / "sleeper").write_text(str(sleeper.pid))
    print("now it hangs", flush=True)
    time.sleep(600)


def fail(campaign: Campaign) -> Rows:
    """Find one thing and fail."""
    yield "Before it failed", {"ms": 2}
    raise RuntimeError(f"{campaign.device} has left")


def look_back(campaign: Campaign) -> Rows:
    """Say what the stages before found."""
    yield "Found before", {"titles": ", ".join(campaign.tables), "seconds": campaign.seconds}
