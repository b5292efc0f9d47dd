"""The latents and labels behind every way of sampling, drawn from a seed and checked against the generator."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

import torch
from torch import Tensor

from sngan_cond.latents import check_seed, check_truncation, draw_latents, slerp, whole_number
from sngan_cond.networks.generator import Generator
from sngan_cond.validation import Allowed, check

Inputs = tuple[Tensor, Tensor | None]  # z (N, latent_dim) and y, (N,) labels or (N, K) class weights, or None

_Images = Annotated[int, Allowed(lambda value: value >= 1, "a number of images from 1")]
_Steps = Annotated[int, Allowed(lambda value: value >= 2, "an integer from 2")]


def sample_inputs(
    G: Generator, *, classes: Sequence[int] | None = None, n: int | None = None, seed: int, truncation: float | None
) -> Inputs:
    """Draw the inputs of `sampling.sample`, whose arguments these are."""
    count, y = _labels(G, classes, n)
    return _latents(G, count, seed, truncation), y


def morph_inputs(
    G: Generator, *, from_class: int, to_class: int, steps: int, seed: int, truncation: float | None
) -> Inputs:
    """Draw the inputs of `sampling.morph`, whose arguments these are."""
    alpha = _alphas(steps)
    start, end = (class_weights(G, {label: 1.0}) for label in (from_class, to_class))
    return _latents(G, 1, seed, truncation).expand(steps, -1), (1 - alpha) * start + alpha * end


def mixture_inputs(
    G: Generator, *, weights: Mapping[int, float], n: int, seed: int, truncation: float | None
) -> Inputs:
    """Draw the inputs of `sampling.mixture`, whose arguments these are."""
    check("n", n, _Images)
    return _latents(G, n, seed, truncation), class_weights(G, weights).repeat(n, 1)


def walk_inputs(
    G: Generator, *, to_seed: int, in_class: int | None = None, steps: int, seed: int, truncation: float | None
) -> Inputs:
    """Draw the inputs of `sampling.walk`, whose arguments these are."""
    alpha = _alphas(steps)
    if in_class is None and G.config.num_classes:
        raise ValueError(f"in_class=None: an integer from 0 to {G.config.num_classes - 1} is allowed")
    y = None if in_class is None else torch.full((steps,), check_class(G, in_class))
    check_seed(to_seed, "to_seed")
    start, end = (_latents(G, 1, s, truncation) for s in (seed, to_seed))
    interpolate = slerp if G.config.latent == "normal" else torch.lerp
    return interpolate(start, end, alpha), y


def check_class(G: Generator, label: int) -> int:
    """Return a label that the generator knows, as a Python integer.

    Raises:
        ValueError: if it is not from 0 to num_classes - 1, or there are no classes.
    """
    if not G.config.num_classes:
        raise ValueError(f"class {label!r}: this generator has no classes")
    return whole_number(f"class {label!r}", label, 0, G.config.num_classes - 1)


def class_weights(G: Generator, weights: Mapping[int, float]) -> Tensor:
    """Normalise the weights of a mixture of classes for the conditional batch norm.

    Args:
        G: generator with classes.
        weights: label to weight, each finite and >= 0, at least one above 0.
    Returns:
        (K,) float32 that sums to 1.
    Raises:
        ValueError: if a label or a weight is out of range.
    """
    row = torch.zeros(G.config.num_classes)
    for label, weight in weights.items():
        if not math.isfinite(weight) or weight < 0:
            raise ValueError(f"weight {weight!r} of class {label}: a finite number from 0 is allowed")
        row[check_class(G, label)] = weight
    if not row.sum() > 0:  # also where float32 rounds every weight to 0
        raise ValueError(f"weights={weights!r}: at least one above 0 is needed")
    return row / row.sum()


def _alphas(steps: int) -> Tensor:
    """Return where the images of an interpolation lie on its way, (steps, 1) from 0 to 1."""
    check("steps", steps, _Steps)
    return torch.linspace(0, 1, steps)[:, None]


def _latents(G: Generator, count: int, seed: int, truncation: float | None) -> Tensor:
    return draw_latents(
        count,
        G.config.latent_dim,
        rng=torch.Generator().manual_seed(check_seed(seed)),
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
        raise ValueError("classes is empty: one label per image is needed")
    if n is not None and n != len(classes):
        raise ValueError(f"n={n} with {len(classes)} classes: leave n out: there is one image per class in the list")
    return len(classes), torch.tensor([check_class(G, label) for label in classes])
