"""What the commands of this package share."""

import argparse
import os
import tempfile
from pathlib import Path

from train.errors import TrainError

DEVICES = "auto (default), cpu, cuda or cuda:N"


def add_overrides(parser: argparse.ArgumentParser, help: str) -> None:
    """Add `--set KEY=VALUE ...`, which may be given several times, as `overrides`."""
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", dest="overrides", help=help
    )


def check_device(name: str) -> None:
    """Raise a TrainError unless `--device` names one that is there: auto, cpu, cuda or cuda:N."""
    if name in ("auto", "cpu"):
        return
    import torch  # takes seconds

    kind, colon, index = name.partition(":")
    if kind != "cuda" or (colon and not index.isdecimal()):
        raise TrainError(f"--device {name!r}: auto, cpu, cuda or cuda:N is allowed")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(index or 0) >= count:
        raise TrainError(f"--device {name!r}: this machine has {count} CUDA devices")


def check_writable(path: Path, argument: str = "--out") -> None:
    """Fail before hours of work, not after.

    Args:
        path: of the file that the argument names; its folder is made.
    Raises:
        TrainError: if it is a folder, or nothing can be written there.
    """
    if path.is_dir():
        raise TrainError(f"{argument} {path}: is a folder; a file is allowed")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise TrainError(f"{argument} {path}: cannot be written ({os.strerror(error.errno or 0)})") from error
