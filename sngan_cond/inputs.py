"""The latents and labels behind every way of sampling, drawn from a seed and checked against the generator."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sngan_cond.classes import Class, resolve_class
from sngan_cond.config import GeneratorConfig
from sngan_cond.latents import check_seed, check_truncation, draw_latents, random_source, slerp
from sngan_cond.networks.generator import Generator
from sngan_cond.validation import integer, plain, short_repr, whole_number

Inputs = tuple[Tensor, Tensor | None]  # z (N, latent_dim) and y, (N,) labels or (N, K) class weights, or None
ClassOrClasses = Class | Sequence[Class]  # arrays and tensors are Class to a type checker: they may be one integer


def generator_in(G: nn.Module) -> Generator:
    """Return the generator inside its wrappers: DataParallel, DistributedDataParallel, FSDP or a compiled module.

    Raises:
        ValueError: if there is none.
    """
    inner: object = G
    while isinstance(inner, nn.Module) and not isinstance(inner, Generator):
        inner = getattr(inner, "_orig_mod", getattr(inner, "module", None))
    if not isinstance(inner, Generator):
        raise ValueError(f"G is {type(G).__name__}: a Generator, also a compiled, parallel or averaged one, is allowed")
    return inner


def sample_inputs(
    G: nn.Module,
    *,
    classes: ClassOrClasses | None = None,
    n: int | None = None,
    seed: int | None = None,
    generator: torch.Generator | None = None,
    truncation: float | None = None,
) -> Inputs:
    """Draw the inputs of `sampling.sample`, whose arguments these are."""
    config = generator_in(G).config
    count, y = _labels(config, classes, n)
    return _latents(config, count, random_source(seed, generator), truncation), y


def morph_inputs(
    G: nn.Module,
    *,
    from_class: Class,
    to_class: Class,
    steps: int,
    seed: int | None = None,
    generator: torch.Generator | None = None,
    truncation: float | None = None,
) -> Inputs:
    """Draw the inputs of `sampling.morph`, whose arguments these are."""
    config, alpha = generator_in(G).config, _alphas(steps)
    start, end = (class_weights(config, {resolve_class(config, given): 1.0}) for given in (from_class, to_class))
    z = _latents(config, 1, random_source(seed, generator), truncation)
    return z.expand(len(alpha), -1), (1 - alpha) * start + alpha * end


def mixture_inputs(
    G: nn.Module,
    *,
    weights: Mapping[Any, float],
    n: int,
    seed: int | None = None,
    generator: torch.Generator | None = None,
    truncation: float | None = None,
) -> Inputs:
    """Draw the inputs of `sampling.mixture`, whose arguments these are."""
    config, count = generator_in(G).config, whole_number("n", n, 1)
    y = class_weights(config, weights).repeat(count, 1)
    return _latents(config, count, random_source(seed, generator), truncation), y


def walk_inputs(
    G: nn.Module,
    *,
    to_seed: int,
    in_class: Class | None = None,
    steps: int,
    seed: int | None = None,
    truncation: float | None = None,
) -> Inputs:
    """Draw the inputs of `sampling.walk`, whose arguments these are."""
    config, alpha = generator_in(G).config, _alphas(steps)
    if in_class is None and config.num_classes:
        raise ValueError(f"in_class=None: one of this model's {config.num_classes} classes is allowed")
    y = None if in_class is None else torch.full((len(alpha),), resolve_class(config, in_class), device="cpu")
    sources = random_source(seed), random_source(check_seed(to_seed, "to_seed"))
    start, end = (_latents(config, 1, source, truncation) for source in sources)
    interpolate = slerp if config.latent == "normal" else torch.lerp
    return interpolate(start, end, alpha), y


def class_weights(config: GeneratorConfig, weights: Mapping[Any, float]) -> Tensor:
    """Normalise the weights of a mixture of classes for the conditional batch norm.

    Args:
        config: of a generator with classes.
        weights: class, as `resolve_class` takes it, to weight, each finite and >= 0, their sum above 0 and within
            float32.
    Returns:
        (K,) float32 that sums to 1.
    Raises:
        ValueError: if a class or a weight is not allowed, or a class stands twice.
    """
    if not isinstance(weights, Mapping):
        raise ValueError(f"weights={short_repr(weights)}: a dictionary of classes and weights is allowed")
    row, found = torch.zeros(config.num_classes, dtype=torch.float64, device="cpu"), set[int]()
    for given, weight in weights.items():
        label = resolve_class(config, given)
        if not _is_weight(weight):
            raise ValueError(
                f"weight {short_repr(weight)} of class {short_repr(given)}: a finite number from 0 is allowed"
            )
        if label in found:
            raise ValueError(f"weights={short_repr(weights)}: class {label} is there twice; one weight each is allowed")
        found.add(label)
        row[label] = float(weight)
    row = row.float()  # which rounds the smallest to 0 and the largest to infinity
    total = row.sum()
    if not 0 < total < math.inf:
        raise ValueError(
            f"weights={short_repr(weights)}: at least one above 0 is needed, and a sum that is finite in float32"
        )
    return row / total


def _is_weight(value: Any) -> bool:
    try:
        return math.isfinite(value) and value >= 0
    except (TypeError, ValueError, OverflowError, RuntimeError):  # texts, arrays, huge integers and larger tensors
        return False


def _alphas(steps: int) -> Tensor:
    """Return where the images of an interpolation lie on its way, (steps, 1) from 0 to 1."""
    return torch.linspace(0, 1, whole_number("steps", steps, 2), dtype=torch.float32, device="cpu")[:, None]


def _latents(config: GeneratorConfig, count: int, rng: torch.Generator, truncation: float | None) -> Tensor:
    dim, threshold = config.latent_dim, check_truncation(truncation)
    return draw_latents(count, dim, rng=rng, truncation=threshold, latent=config.latent)


def _labels(config: GeneratorConfig, classes: ClassOrClasses | None, n: int | None) -> tuple[int, Tensor | None]:
    """Return how many images there will be, and the label of each where there are classes."""
    if not config.num_classes:
        if classes is not None:
            raise ValueError("classes are given: a generator without classes takes n, the number of images")
        return whole_number("n", 1 if n is None else n, 1), None
    if classes is None:
        raise ValueError(f"classes=None: this model has {config.num_classes} classes; one, or one per image, is needed")
    given = plain(classes)
    if isinstance(given, Sequence) and not isinstance(given, str | bytes):
        if not given:
            raise ValueError("classes is empty: one class, or one per image, is needed")
        if n is not None and integer(n) != len(given):
            raise ValueError(
                f"n={n!r} with {len(given)} classes: leave n out: there is one image per class in the list"
            )
        return len(given), torch.tensor([resolve_class(config, single) for single in given], device="cpu")
    count = whole_number("n", 1 if n is None else n, 1)
    return count, torch.full((count,), resolve_class(config, given), device="cpu")
