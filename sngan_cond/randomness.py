"""Random sources as functions of (seed, purpose, step, rank), never of global state, so that a run can be resumed."""

import hashlib
import json

import torch

SEED_BITS = 63  # torch's manual_seed takes a signed 64-bit integer; 63 bits are never negative


def seed_for(*parts: int | str) -> int:
    """Hash what identifies a draw to a seed in [0, 2**63), the same on every machine and in every release.

    Args:
        parts: for instance `(seed, "latent", step, rank)`; 1 and "1" differ.
    Raises:
        TypeError: if a part is neither int nor str (a float would hash by its rounding).
    """
    for part in parts:
        if isinstance(part, bool) or not isinstance(part, int | str):
            raise TypeError(f"seed_for: {part!r} is {type(part).__name__}; allowed are int and str")
    # Not Python's hash(): it is salted anew in every process.
    digest = hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - SEED_BITS)


def rng_for(*parts: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a new random source seeded by `seed_for(*parts)`.

    Args:
        parts: as for `seed_for`.
        device: where the numbers will be drawn; CPU and CUDA draw different ones from the same seed.
    """
    return torch.Generator(device=device).manual_seed(seed_for(*parts))
