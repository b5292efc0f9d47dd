"""Reading of `official/`, its tolerances, and the measures of error that they are stated in."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

OFFICIAL = Path(__file__).parent / "official"

# float32 on CPU; each is at least twice the error of an independent port on the same files (its own in brackets), so a
# change of summation order passes and a wrong mechanism (1e-3 and more) does not.
TEST_OUTPUT = 2e-5  # [8e-6]
TRAIN_OUTPUT = 2e-4  # [6e-5]
STATISTICS = 2e-5  # [4e-6]
U = 5e-6  # [5e-7]
LOSS = 1e-4  # [5e-5]
GRADIENT = 5e-3  # [1.5e-3] of the parameter's gradient norm
TRAJECTORY_LOSS = 1e-5  # [1e-6]
TRAJECTORY_WEIGHT = 2e-4  # [8e-5] absolute, after three iterations
# A GPU's libraries sum in blocks of other sizes and may multiply by transforms (Winograd, FFT), whose coefficients lose
# about two binary digits (Lavin and Gray 2016, section 5). Still below what a wrong mechanism gives.
GPU_SLACK = 4

GENERATORS = ("tiny_g32_c5", "tiny_g32_c0", "tiny_g64_c5", "tiny_g128_c5")
DISCRIMINATORS = ("tiny_d32_c5", "tiny_d32_c0", "tiny_d64_c5", "tiny_d128_c5", "tiny_d128concat_c5")
MIXTURES = ("tiny_g64_c5", "tiny_g128_c5")  # with mixtures of two classes
PROJECTIONS = ("tiny_d32_c5", "tiny_d64_c5", "tiny_d128_c5")  # with scores without labels


def load(name: str) -> dict[str, np.ndarray]:
    """Read one fixture into memory."""
    with np.load(OFFICIAL / f"{name}.npz", allow_pickle=False) as arrays:
        return {key: arrays[key] for key in arrays.files}


def tensor(array: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """Turn an array into a tensor; labels become int64."""
    return torch.from_numpy(array.astype(np.int64 if array.dtype.kind == "i" else array.dtype)).to(device)


def labels(arrays: dict[str, np.ndarray], device: torch.device | str = "cpu") -> Tensor | None:
    """Return labels where the fixture has classes."""
    return tensor(arrays["y"], device) if "y" in arrays else None


def allowed(tolerance: float, device: torch.device) -> float:
    """Return the error that is allowed to what a device computes."""
    return tolerance if device.type == "cpu" else GPU_SLACK * tolerance


def relative_error(ours: Tensor, official: np.ndarray) -> float:
    """Largest difference, relative to the official array's largest magnitude."""
    values = ours.detach().cpu().numpy().reshape(official.shape).astype(np.float64)
    return float(np.abs(values - official).max() / np.abs(official).max())


def absolute_error(ours: Tensor, official: np.ndarray) -> float:
    """Largest difference."""
    return float(np.abs(ours.detach().cpu().numpy().reshape(official.shape).astype(np.float64) - official).max())


def norm_error(ours: Tensor, official: np.ndarray) -> float:
    """Norm of the difference, relative to the official array's norm."""
    values = ours.detach().cpu().numpy().reshape(official.shape).astype(np.float64)
    return float(np.linalg.norm(values - official) / np.linalg.norm(official))


def part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Return the arrays under a prefix, without it."""
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
