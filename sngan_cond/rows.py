"""What a generator is asked for: latents and labels, a row a picture, from classes, weights and seeds."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sngan_cond.generator import Generator
from sngan_cond.latents import check_seed, check_truncation, draw_latents, great_circle, whole_number

Rows = tuple[Tensor, Tensor | None]  # z (N, latent_dim) and y, (N,) labels or (N, K) class weights, or None


def sample_rows(
    G: Generator,
    *,
    classes: Sequence[int] | None = None,
    n: int | None = None,
    seed: int = 0,
    truncation: float | None = None,
) -> Rows:
    """Draw what `sampling.sample` shows; arguments are its own."""
    count, y = _labels(G, classes, n)
    return _latents(G, count, seed, truncation), y


def morph_rows(
    G: Generator, *, from_class: int, to_class: int, steps: int = 8, seed: int = 0, truncation: float | None = None
) -> Rows:
    """Draw what `sampling.morph` shows; arguments are its own."""
    share = _shares(steps)
    start, end = (class_weights(G, {label: 1.0}) for label in (from_class, to_class))
    return _latents(G, 1, seed, truncation).expand(steps, -1), (1 - share) * start + share * end


def mixture_rows(
    G: Generator, *, weights: Mapping[int, float], n: int = 1, seed: int = 0, truncation: float | None = None
) -> Rows:
    """Draw what `sampling.mixture` shows; arguments are its own."""
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"n={n!r}: a number of images from 1 is allowed")
    return _latents(G, n, seed, truncation), class_weights(G, weights).repeat(n, 1)


def walk_rows(
    G: Generator,
    *,
    to_seed: int,
    in_class: int | None = None,
    steps: int = 8,
    seed: int = 0,
    truncation: float | None = None,
) -> Rows:
    """Draw what `sampling.walk` shows; arguments are its own."""
    share = _shares(steps)
    if in_class is None and G.config.num_classes:
        raise ValueError(f"in_class=None: an integer from 0 to {G.config.num_classes - 1} is allowed")
    y = None if in_class is None else torch.full((steps,), check_class(G, in_class))
    check_seed(to_seed, "to_seed")
    start, end = (_latents(G, 1, end, truncation) for end in (seed, to_seed))
    between = great_circle if G.config.latent == "normal" else torch.lerp
    return between(start, end, share), y


def check_class(G: Generator, label: int) -> int:
    """Return a label that the generator knows.

    Args:
        G: generator with classes.
        label: to be checked.
    Raises:
        ValueError: if it is not from 0 to num_classes - 1, or there are no classes.
    """
    if not G.config.num_classes:
        raise ValueError(f"class {label!r}: this generator has no classes")
    number = whole_number(label)
    if number is None or not 0 <= number < G.config.num_classes:
        raise ValueError(f"class {label!r}: an integer from 0 to {G.config.num_classes - 1} is allowed")
    return number


def class_weights(G: Generator, weights: Mapping[int, float]) -> Tensor:
    """Turn class shares into a row for the conditional batch norm.

    Args:
        G: generator with classes.
        weights: label to share, each finite and >= 0, at least one above 0.
    Returns:
        (K,) float32 that sums to 1.
    Raises:
        ValueError: if a label or a share is out of range.
    """
    row = torch.zeros(G.config.num_classes)
    for label, share in weights.items():
        if not math.isfinite(share) or share < 0:
            raise ValueError(f"weight {share!r} of class {label}: a finite number from 0 is allowed")
        row[check_class(G, label)] = share
    if not row.sum() > 0:
        raise ValueError(f"weights={weights!r}: at least one above 0 is needed")
    return row / row.sum()


def _shares(steps: int) -> Tensor:
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 2:
        raise ValueError(f"steps={steps!r}: an integer from 2 is allowed")
    return torch.linspace(0, 1, steps)[:, None]


def _latents(G: Generator, count: int, seed: int, truncation: float | None) -> Tensor:
    return draw_latents(
        count,
        G.config.latent_dim,
        generator=torch.Generator().manual_seed(check_seed(seed)),
        truncation=check_truncation(truncation),
        latent=G.config.latent,
    )


def _labels(G: Generator, classes: Sequence[int] | None, n: int | None) -> tuple[int, Tensor | None]:
    if not G.config.num_classes:
        if classes is not None:
            raise ValueError("classes are given: a generator without classes takes n, the number of images")
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ValueError(f"n={n}: a number of images from 1 is needed by a generator without classes")
        return n, None
    if classes is None or not len(classes):
        raise ValueError("classes is empty: one label an image is needed")
    if n is not None and n != len(classes):
        raise ValueError(f"n={n} with {len(classes)} classes: leave n out, there is one image a class given")
    return len(classes), torch.tensor([check_class(G, label) for label in classes])
