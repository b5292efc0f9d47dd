"""The latents and labels behind every way of sampling, drawn from a seed and checked against the generator."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from sngan_cond.ancestry import named_latent
from sngan_cond.blends import class_row, class_weights
from sngan_cond.classes import Class, resolve_class
from sngan_cond.config import GeneratorConfig
from sngan_cond.flag_groups import MAX_IMAGES
from sngan_cond.latents import check_seed, check_truncation, draw_latents, fractions, moved, random_source
from sngan_cond.networks.generator import Generator
from sngan_cond.validation import check_fraction, integer, plain, short_repr, whole_number

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
    latent: str | None = None,
) -> Inputs:
    """Draw the inputs of `sampling.sample`, whose arguments these are."""
    config = generator_in(G).config
    count, y = _labels(config, classes, n)
    if latent is not None and count > 1 and not _is_list(plain(classes)):
        raise ValueError(f"n={short_repr(n)} with latent={short_repr(latent)}: a latent has one image of a class")
    return _latents(config, count, seed, generator, truncation, latent), y


def morph_inputs(
    G: nn.Module,
    *,
    from_class: Class,
    to_class: Class,
    steps: int,
    seed: int | None = None,
    generator: torch.Generator | None = None,
    truncation: float | None = None,
    latent: str | None = None,
) -> Inputs:
    """Draw the inputs of `sampling.morph`, whose arguments these are."""
    config, ways = generator_in(G).config, fractions(steps)
    start, end = (class_weights(config, {resolve_class(config, given): 1.0}) for given in (from_class, to_class))
    z = _latents(config, 1, seed, generator, truncation, latent)
    return z.expand(len(ways), -1), _between(start, end, ways)


def mixture_inputs(
    G: nn.Module,
    *,
    weights: Mapping[Any, float],
    n: int,
    seed: int | None = None,
    generator: torch.Generator | None = None,
    truncation: float | None = None,
    latent: str | None = None,
) -> Inputs:
    """Draw the inputs of `sampling.mixture`, whose arguments these are."""
    config, count = generator_in(G).config, whole_number("n", n, 1, MAX_IMAGES)
    y = class_weights(config, weights).repeat(count, 1)
    if latent is not None and count > 1:
        raise ValueError(f"n={short_repr(n)} with latent={short_repr(latent)}: a latent has one image of a mixture")
    return _latents(config, count, seed, generator, truncation, latent), y


def walk_inputs(
    G: nn.Module,
    *,
    to_seed: int,
    in_class: Class | None = None,
    steps: int,
    seed: int | None = None,
    truncation: float | None = None,
    latent: str | None = None,
) -> Inputs:
    """Draw the inputs of `sampling.walk`, whose arguments these are."""
    config, ways = generator_in(G).config, fractions(steps)
    y = _one_class(config, in_class, len(ways))
    # What `latent` names has a truncation of its own; the other end has that of the argument.
    start = _latents(config, 1, seed, None, None if latent is not None else truncation, latent)
    end = _latents(config, 1, check_seed(to_seed, "to_seed"), None, truncation, None)
    return _path(config, start, end, ways), y


def vary_inputs(
    G: nn.Module,
    *,
    latent: str,
    in_class: Class | None = None,
    radius: float,
    n: int,
    seed: int | None = None,
) -> Inputs:
    """Draw the inputs of `variations.vary`, whose arguments these are."""
    config, count, fraction = (
        generator_in(G).config,
        whole_number("n", n, 1, MAX_IMAGES),
        check_fraction("radius", radius),
    )
    y = _one_class(config, in_class, count)
    start, ends = named_latent(config, latent), _latents(config, count, seed, None, None, None)
    return torch.cat([moved(start, end, fraction, latent=config.latent) for end in ends[:, None]]), y


def cross_inputs(
    G: nn.Module,
    *,
    latent: str,
    to_latent: str,
    in_class: Class | None = None,
    to_class: Class | None = None,
    steps: int,
) -> Inputs:
    """Draw the inputs of `variations.cross`, whose arguments these are."""
    config, ways = generator_in(G).config, fractions(steps)
    z = _path(config, named_latent(config, latent), named_latent(config, to_latent, "to_latent"), ways)
    start, end = _weights_of(config, "in_class", in_class), _weights_of(config, "to_class", to_class)
    if start is None or end is None:  # both, or neither
        return z, None
    return z.repeat_interleave(len(ways), 0), _between(start, end, ways).repeat(len(ways), 1)


def _path(config: GeneratorConfig, start: Tensor, end: Tensor, ways: Sequence[float]) -> Tensor:
    """Return latents from one to another, each by itself: exactly what its name gives, whatever their number is."""
    return torch.cat([moved(start, end, way, latent=config.latent) for way in ways])


def _between(start: Tensor, end: Tensor, ways: Sequence[float]) -> Tensor:
    """Return class weights from one row to another, (N, K); without rounding at the ends, and where these are equal."""
    return torch.lerp(start, end, torch.tensor(ways, dtype=torch.float32, device="cpu")[:, None])


def _weights_of(config: GeneratorConfig, name: str, given: Class | None) -> Tensor | None:
    """Return the class weights of a class or a blend, (K,); None without classes."""
    if given is None and config.num_classes:
        raise ValueError(f"{name}=None: one of this model's {config.num_classes} classes, or a blend, is allowed")
    return None if given is None else class_row(config, given)


def _one_class(config: GeneratorConfig, in_class: Class | None, count: int) -> Tensor | None:
    """Return what makes so many images of one class, labels, or of one blend, class weights."""
    weights = _weights_of(config, "in_class", in_class)
    if weights is None:
        return None
    (labels,) = weights.nonzero(as_tuple=True)
    return labels.repeat(count) if len(labels) == 1 else weights.repeat(count, 1)


def _latents(
    config: GeneratorConfig,
    count: int,
    seed: int | None,
    generator: torch.Generator | None,
    truncation: float | None,
    latent: str | None,
) -> Tensor:
    """Draw latents, or take the one that has a name for all."""
    if latent is None:
        rng, threshold = random_source(seed, generator), check_truncation(truncation)
        return draw_latents(count, config.latent_dim, rng=rng, truncation=threshold, latent=config.latent)
    for name, value in (("seed", seed), ("generator", generator), ("truncation", truncation)):
        if value is not None:
            raise ValueError(f"{name}={short_repr(value)} with latent={short_repr(latent)}: one of them is allowed")
    return named_latent(config, latent).expand(count, -1)


def _labels(config: GeneratorConfig, classes: ClassOrClasses | None, n: int | None) -> tuple[int, Tensor | None]:
    """Return how many images there will be, and the label of each where there are classes."""
    if not config.num_classes:
        if classes is not None:
            raise ValueError("classes are given: a generator without classes takes n, the number of images")
        return whole_number("n", 1 if n is None else n, 1, MAX_IMAGES), None
    if classes is None:
        raise ValueError(f"classes=None: this model has {config.num_classes} classes; one, or one per image, is needed")
    given = plain(classes)
    if _is_list(given):
        if not given:
            raise ValueError("classes is empty: one class, or one per image, is needed")
        if n is not None and integer(n) != len(given):
            raise ValueError(
                f"n={n!r} with {len(given)} classes: leave n out: there is one image per class in the list"
            )
        return len(given), torch.tensor([resolve_class(config, single) for single in given], device="cpu")
    count = whole_number("n", 1 if n is None else n, 1, MAX_IMAGES)
    return count, torch.full((count,), resolve_class(config, given), device="cpu")


def _is_list(given: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(given, Sequence) and not isinstance(given, str | bytes)
