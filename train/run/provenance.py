"""What training ran on (versions, commit, hardware), and which of it others may read."""

import platform
import re
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import torch
from accelerate import Accelerator

_SOURCE = re.compile(r"((?:\w{2,}:){0,2})(.+)", re.DOTALL)  # kinds, which are longer than a drive, and a place


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of Python and of packages that numbers depend on."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


@cache
def commit() -> str | None:
    """Return the commit of the source tree this runs from, as of the first call; None outside of one."""
    root = Path(__file__).parents[2]
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, encoding="utf-8", check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def hardware(accelerator: Accelerator) -> dict[str, Any]:
    """Return kind and name of the device, and how many processes and threads share the work."""
    device = accelerator.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "device": device.type,
        "name": name,
        "processes": accelerator.num_processes,
        "threads": torch.get_num_threads(),
    }


def without_folders(value: Any) -> Any:
    """Cut absolute paths down to their last part: where things lie on a machine is nobody's business.

    Args:
        value: of JSON.
    Returns:
        The same shape; strings that are absolute paths, of POSIX or Windows, also behind the kind of a source as in
        `torchvision:STL10:/data/stl`, are names.
    """
    if isinstance(value, Mapping):
        return {key: without_folders(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [without_folders(entry) for entry in value]
    if isinstance(value, str) and (parts := _SOURCE.fullmatch(value)):
        kind, place = parts.groups()
        for flavour in (PurePosixPath, PureWindowsPath):
            has_host = kind and re.match(r"//[^/]", place)  # an address is no path
            if flavour(place).is_absolute() and not has_host:
                return kind + flavour(place).name
    return value
