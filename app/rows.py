"""From a request to the rows a generator takes: the same latents and labels as the library's own functions."""

import math

import torch
from torch import Tensor

from app.asks import AnyAsk, MixtureAsk, MorphAsk, SampleAsk, WalkAsk
from app.limits import AskError
from sngan_cond import Generator
from sngan_cond.classes import resolve_class
from sngan_cond.sampling import class_weights, draw_latents

Rows = tuple[Tensor, Tensor | None]  # z (N, latent_dim) and y, (N,) labels or (N, K) weights


def rows_of(G: Generator, ask: AnyAsk) -> tuple[Rows, list[list[int]]]:
    """Draw the latents of a request and find its labels.

    Args:
        G: generator.
        ask: request.
    Returns:
        The rows, and for each the labels that it shows.
    Raises:
        AskError: if a class is unknown or ambiguous, or the model has none.
    """
    if isinstance(ask, SampleAsk):
        return _sample(G, ask)
    if isinstance(ask, MorphAsk):
        return _morph(G, ask)
    if isinstance(ask, MixtureAsk):
        return _mixture(G, ask)
    return _walk(G, ask)


def _sample(G: Generator, ask: SampleAsk) -> tuple[Rows, list[list[int]]]:
    if not G.config.num_classes:
        if ask.classes:
            raise AskError("this model has no classes: leave the class out")
        return (_latents(G, ask, ask.count), None), [[] for _ in range(ask.count)]
    if not ask.classes:
        raise AskError("choose at least one class")
    labels = [label for label in labels_of(G, ask.classes) for _ in range(ask.count)]
    return (_latents(G, ask, len(labels)), torch.tensor(labels)), [[label] for label in labels]


def _morph(G: Generator, ask: MorphAsk) -> tuple[Rows, list[list[int]]]:
    ends = labels_of(G, (ask.from_class, ask.to_class))
    start, end = (class_weights(G, {label: 1.0}) for label in ends)
    share = torch.linspace(0, 1, ask.steps)[:, None]
    z = _latents(G, ask, 1).expand(ask.steps, -1)
    return (z, (1 - share) * start + share * end), [ends] * ask.steps


def _mixture(G: Generator, ask: MixtureAsk) -> tuple[Rows, list[list[int]]]:
    labels = labels_of(G, ask.classes)
    if len(set(labels)) != len(labels):
        raise AskError("a class is in the mixture twice: give it one weight")
    row = class_weights(G, dict(zip(labels, ask.weights, strict=True)))
    return (_latents(G, ask, ask.count), row.repeat(ask.count, 1)), [labels] * ask.count


def _walk(G: Generator, ask: WalkAsk) -> tuple[Rows, list[list[int]]]:
    ends = [_latents(G, ask, 1, seed=seed) for seed in (ask.seed, ask.to_seed)]
    share = torch.linspace(0, 1, ask.steps)[:, None]
    z = _on_a_sphere(*ends, share) if G.config.latent == "normal" else torch.lerp(*ends, share)
    if not G.config.num_classes:
        if ask.class_:
            raise AskError("this model has no classes: leave the class out")
        return (z, None), [[] for _ in range(ask.steps)]
    if not ask.class_:
        raise AskError("choose a class to walk in")
    label = labels_of(G, (ask.class_,))
    return (z, torch.tensor(label * ask.steps)), [label] * ask.steps


def labels_of(G: Generator, classes: tuple[str, ...]) -> list[int]:
    """Find the labels of classes.

    Args:
        G: generator.
        classes: indices, names or WordNet ids.
    Raises:
        AskError: if one is unknown, or means several; the message lists them.
    """
    try:
        return [resolve_class(G.config, text) for text in classes]
    except ValueError as error:
        raise AskError(str(error)) from error


def _latents(G: Generator, ask: AnyAsk, count: int, seed: int | None = None) -> Tensor:
    generator = torch.Generator().manual_seed(ask.seed if seed is None else seed)
    config = G.config
    return draw_latents(count, config.latent_dim, generator=generator, truncation=ask.truncation, latent=config.latent)


def _on_a_sphere(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """Interpolate along the great circle, since normal latents all have nearly the same length (White 2016)."""
    cosine = torch.nn.functional.cosine_similarity(start, end).clamp(-1, 1)
    angle = torch.acos(cosine)
    if angle < 1e-3 or math.pi - angle < 1e-3:
        return torch.lerp(start, end, share)
    path = torch.sin((1 - share) * angle) * start + torch.sin(share * angle) * end
    return torch.where(share == 0, start, torch.where(share == 1, end, path / torch.sin(angle)))
