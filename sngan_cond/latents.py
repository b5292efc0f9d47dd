"""Seeded latents and the paths between them."""

import math
import operator

import torch
from torch import Tensor

MIN_TRUNCATION = 0.05
MAX_SEED = 2**63 - 1


def check_seed(seed: int, name: str = "seed") -> int:
    """Return a seed that generators accept.

    Args:
        seed: to be checked.
        name: of the argument, for the message.
    Raises:
        ValueError: if it is not an integer from 0 to 2**63 - 1.
    """
    number = whole_number(seed)
    if number is None or not 0 <= number <= MAX_SEED:
        raise ValueError(f"{name}={seed!r}: an integer from 0 to {MAX_SEED} is allowed")
    return number


def whole_number(value: object) -> int | None:
    """Return any kind of integer, NumPy's and PyTorch's too, as Python's; None for everything else.

    Args:
        value: to be looked at; a bool is no integer here.
    """
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]  # that is the question
    except (TypeError, RuntimeError):
        return None


def check_truncation(truncation: float | None) -> float | None:
    """Return a truncation threshold that resampling can carry.

    Args:
        truncation: in standard deviations of the normal latent, or None.
    Raises:
        ValueError: if it is not None or a finite number from 0.05.
    """
    if truncation is None:
        return None
    if isinstance(truncation, bool) or not isinstance(truncation, int | float):
        raise ValueError(f"truncation={truncation!r}: a number or None is allowed")
    if not math.isfinite(truncation) or truncation < MIN_TRUNCATION:
        raise ValueError(f"truncation={truncation}: None or a finite threshold from {MIN_TRUNCATION} is allowed")
    return float(truncation)


def draw_latents(
    count: int,
    latent_dim: int,
    *,
    rng: torch.Generator,
    truncation: float | None = None,
    latent: str = "normal",
) -> Tensor:
    """Draw latents row by row, so that the first rows do not depend on how many follow.

    Args:
        count: number of rows N.
        latent_dim: length of each.
        rng: random source, on the CPU.
        truncation: components of greater magnitude are drawn again; None takes them as they come.
        latent: "normal" or "uniform" on [-1, 1).
    Returns:
        (N, latent_dim) float32, on the CPU.
    """
    rows = torch.empty(count, latent_dim)
    for row in rows:
        _fill(row, rng, latent)
        if truncation is not None:
            while len(outside := (row.abs() > truncation).nonzero().squeeze(1)):
                row[outside] = _fill(torch.empty(len(outside)), rng, latent)
    return rows


def _fill(row: Tensor, rng: torch.Generator, latent: str) -> Tensor:
    return row.normal_(generator=rng) if latent == "normal" else row.uniform_(-1, 1, generator=rng)


def slerp(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """Interpolate along the great circle, since normal latents all have nearly the same length.

    Args:
        start: (1, latent_dim), for a share of 0, where it is returned as it is.
        end: (1, latent_dim), for a share of 1, likewise.
        share: (N, 1) in [0, 1].
    Returns:
        (N, latent_dim).
    Source: White 2016, "Sampling Generative Networks", section 2.1.
    """
    angle = torch.acos(torch.nn.functional.cosine_similarity(start, end).clamp(-1, 1))
    if angle < 1e-3 or math.pi - angle < 1e-3:  # no circle, or no single one
        return torch.lerp(start, end, share)
    path = torch.sin((1 - share) * angle) * start + torch.sin(share * angle) * end
    return torch.where(share == 0, start, torch.where(share == 1, end, path / torch.sin(angle)))
