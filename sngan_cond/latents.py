"""Seeded latents, truncation and slerp."""

import math
import sys

import torch
from torch import Tensor

from sngan_cond.flag_groups import MAX_IMAGES
from sngan_cond.validation import plain, short_repr, whole_number

MIN_TRUNCATION = 0.05
MAX_SEED = 2**63 - 1


def check_seed(seed: int, name: str = "seed") -> int:
    """Return a seed that PyTorch accepts, as a Python integer.

    Args:
        name: of the argument, for the message.
    Raises:
        ValueError: if it is not an integer from 0 to 2**63 - 1.
    """
    return whole_number(name, seed, 0, MAX_SEED)


def check_truncation(truncation: float | None) -> float | None:
    """Return a truncation threshold, in standard deviations of a normal latent, at which redrawing ends soon.

    Raises:
        ValueError: if it is not None or a finite number from 0.05.
    """
    threshold = plain(truncation)
    if threshold is None:
        return None
    if isinstance(threshold, bool) or not isinstance(threshold, int | float):
        raise ValueError(f"truncation={short_repr(truncation)}: a number or None is allowed")
    if not MIN_TRUNCATION <= threshold <= sys.float_info.max:
        raise ValueError(
            f"truncation={short_repr(threshold)}: None or a finite threshold from {MIN_TRUNCATION} is allowed"
        )
    return float(threshold)


def random_source(seed: int | None = None, generator: torch.Generator | None = None) -> torch.Generator:
    """Return where latents are drawn from: a new source, or a given one, which moves on by what is drawn.

    Args:
        seed: 0 to 2**63 - 1; None is 0.
        generator: instead of a seed, on the CPU, where latents are drawn whatever the device.
    Raises:
        ValueError: if the seed is out of range, the generator is elsewhere, or both are given.
    """
    if generator is None:
        return torch.Generator().manual_seed(check_seed(0 if seed is None else seed))
    if not isinstance(generator, torch.Generator):
        raise ValueError(f"generator={short_repr(generator)}: a torch.Generator on the CPU or None is allowed")
    if seed is not None:
        raise ValueError(f"seed={short_repr(seed)} with a generator: one of them is allowed")
    if generator.device.type != "cpu":
        raise ValueError(
            f"generator on {generator.device}: one on the CPU is allowed, which draws the same latents for every device"
        )
    return generator


def draw_latents(
    count: int, latent_dim: int, *, rng: torch.Generator, truncation: float | None = None, latent: str = "normal"
) -> Tensor:
    """Draw latents, of which the first do not depend on how many follow.

    Args:
        count: number of latents N.
        latent_dim: length of each.
        rng: random source, on the CPU.
        truncation: components of greater magnitude are drawn again; None takes them as they come.
        latent: "normal" or "uniform" on [-1, 1).
    Returns:
        (N, latent_dim) float32, on the CPU.
    """
    # Whatever PyTorch's default type and device are: a seed has one image.
    z = torch.empty(count, latent_dim, dtype=torch.float32, device="cpu")
    # One at a time: PyTorch draws normal numbers in blocks of 16 and starts anew for an incomplete last block, so the
    # last numbers of a call depend on how many there are.
    for latents in z:
        _fill(latents, rng, latent)
        if truncation is not None:
            while len(outside := (latents.abs() > truncation).nonzero().squeeze(1)):
                latents[outside] = _fill(latents.new_empty(len(outside)), rng, latent)
    return z


def _fill(values: Tensor, rng: torch.Generator, latent: str) -> Tensor:
    return values.normal_(generator=rng) if latent == "normal" else values.uniform_(-1, 1, generator=rng)


def slerp(start: Tensor, end: Tensor, alpha: Tensor) -> Tensor:
    """Interpolate along a great circle, since normal latents all have nearly the same length.

    Source: White 2016, "Sampling Generative Networks", section 2.1.

    Args:
        start: (1, latent_dim), returned as it is where alpha is 0.
        end: (1, latent_dim), returned as it is where alpha is 1.
        alpha: (N, 1) in [0, 1].
    Returns:
        (N, latent_dim).
    """
    angle = torch.acos(torch.nn.functional.cosine_similarity(start, end).clamp(-1, 1))
    if angle < 1e-3 or math.pi - angle < 1e-3:  # equal directions have no great circle, opposite ones have many
        return torch.lerp(start, end, alpha)
    path = torch.sin((1 - alpha) * angle) * start + torch.sin(alpha * angle) * end
    # The ends without rounding, so that a walk begins and ends at the images of `sample`.
    return torch.where(alpha == 0, start, torch.where(alpha == 1, end, path / torch.sin(angle)))


def moved(start: Tensor, end: Tensor, fraction: float, *, latent: str) -> Tensor:
    """Return what lies between two latents: by slerp where they are normal, else on a straight line.

    Args:
        start, end: (1, latent_dim), returned as they are where the fraction is 0 or 1.
        fraction: 0 to 1, of the way from start to end.
        latent: "normal" or "uniform".
    Returns:
        (1, latent_dim), which no other fraction that is computed beside it changes.
    """
    alpha = torch.tensor([[fraction]], dtype=torch.float32, device="cpu")
    return slerp(start, end, alpha) if latent == "normal" else torch.lerp(start, end, alpha)


def fractions(steps: int) -> list[float]:
    """Return where the images of an interpolation lie on its way, from 0 to 1, each a float32.

    Raises:
        ValueError: if `steps` is not an integer from 2.
    """
    alphas: list[float] = torch.linspace(
        0, 1, whole_number("steps", steps, 2, MAX_IMAGES), dtype=torch.float32, device="cpu"
    ).tolist()
    return alphas
