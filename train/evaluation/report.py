"""`metrics.json`: every score with its protocol, counts, seeds, extractor and data, in one file that others quote."""

import hashlib
import json
import math
import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from torch import nn

from train.evaluation.errors import EvaluationError

_PACKAGES = ("sngan-cond", "torch", "torchvision", "torch-fidelity", "torchmetrics", "timm", "numpy", "accelerate")


@dataclass(frozen=True)
class Report:
    """Scores and everything that decided them.

    Args:
        metrics: one object a score: name, value, std, metric, protocol, real_count, fake_count, seed, extractor,
            extractor_sha256 and, where there are any, settings and classes.
        facts: what all of them share.
    """

    metrics: list[dict[str, Any]]
    facts: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return what `metrics.json` holds."""
        return {"metrics": self.metrics, **self.facts}

    def value(self, name: str) -> float:
        """Return the value of a score.

        Args:
            name: of the score.
        Raises:
            KeyError: if it was not measured.
        """
        for row in self.metrics:
            if row["name"] == name:
                return float(row["value"])
        raise KeyError(name)

    def write(self, path: Path) -> None:
        """Write the file whole or not at all.

        Args:
            path: of the file; its folder is made.
        Raises:
            EvaluationError: if it cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.{os.getpid()}")
            partial.write_text(json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
            partial.replace(path)
        except OSError as error:
            raise EvaluationError(f"--out {path}: cannot be written ({error.strerror})") from error

    def lines(self) -> list[str]:
        """Return one line a score, for people."""
        width = max(len(row["name"]) for row in self.metrics)
        return [
            f"{row['name']:<{width}}  {number(row)}  protocol {row['protocol']}, {row['fake_count']:,} generated, "
            f"{row['real_count']:,} real, extractor {row['extractor']}"
            for row in self.metrics
        ]


def number(row: dict[str, Any]) -> str:
    """Return a score's value, with its standard deviation where there is one."""
    deviation = "" if row.get("std") is None else f" ± {row['std']:.3g}"
    return f"{row['value']:.6g}{deviation}"


def check_finite(rows: list[dict[str, Any]]) -> None:
    """Refuse scores that are no numbers.

    Args:
        rows: of a report.
    Raises:
        EvaluationError: naming the first.
    """
    for row in rows:
        if not math.isfinite(row["value"]):
            raise EvaluationError(
                f"{row['name']} is {row['value']}: {row['fake_count']} generated and {row['real_count']} real images "
                "give no finite value; more images are needed"
            )


def weights_sha256(network: nn.Module) -> str:
    """Hash parameters and buffers by name, type, shape and bytes; equal networks have equal hashes on every device.

    Args:
        network: to be named.
    Returns:
        Hexadecimal sha256.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of what decided a score."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
