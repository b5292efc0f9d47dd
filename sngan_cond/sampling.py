"""Images by class, morphs, mixtures and walks: whoever needs pictures comes here."""

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from sngan_cond.latents import check_seed, check_truncation, draw_latents, slerp, whole_number
from sngan_cond.networks.generator import Generator

Rows = tuple[Tensor, Tensor | None]  # z (N, latent_dim) and y, (N,) labels or (N, K) class weights, or None


def sample_inputs(
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


def morph_inputs(
    G: Generator, *, from_class: int, to_class: int, steps: int = 8, seed: int = 0, truncation: float | None = None
) -> Rows:
    """Draw what `sampling.morph` shows; arguments are its own."""
    share = _shares(steps)
    start, end = (class_weights(G, {label: 1.0}) for label in (from_class, to_class))
    return _latents(G, 1, seed, truncation).expand(steps, -1), (1 - share) * start + share * end


def mixture_inputs(
    G: Generator, *, weights: Mapping[int, float], n: int = 1, seed: int = 0, truncation: float | None = None
) -> Rows:
    """Draw what `sampling.mixture` shows; arguments are its own."""
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"n={n!r}: a number of images from 1 is allowed")
    return _latents(G, n, seed, truncation), class_weights(G, weights).repeat(n, 1)


def walk_inputs(
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
    between = slerp if G.config.latent == "normal" else torch.lerp
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
        raise ValueError("classes is empty: one label an image is needed")
    if n is not None and n != len(classes):
        raise ValueError(f"n={n} with {len(classes)} classes: leave n out, there is one image a class given")
    return len(classes), torch.tensor([check_class(G, label) for label in classes])


MAX_BATCH_SIZE = 65_536  # full batches are computed, so that a slip of the finger would ask for terabytes


def to_uint8(images: Tensor) -> Tensor:
    """Turn images in [-1, 1] into bytes, clip(127.5 x + 127.5, 0, 255) truncated.

    Args:
        images: float of any shape.
    Returns:
        uint8 of the same shape.
    Source: evaluation.py of pfnet-research/sngan_projection.
    """
    return (images.float() * 127.5 + 127.5).clamp_(0, 255).to(torch.uint8)


@torch.inference_mode()
def generate(G: Generator, z: Tensor, y: Tensor | None, *, batch_size: int | None = None) -> Iterator[Tensor]:
    """Run the generator in inference mode, a batch at a time.

    Batches of different sizes run through different kernels, which round differently. So every batch is full (the last
    one repeats its last row): under one batch size a picture depends on its latent and class alone, not on how many
    are made with it.

    Args:
        G: generator; its mode is restored afterwards.
        z: (N, latent_dim) latents.
        y: (N,) labels, (N, K) class weights or None.
        batch_size: images a batch; None takes 1 on a CPU, where more are hardly faster, and 16 elsewhere. Changes speed
            and memory, and the pictures by rounding only (a byte in ten thousand, by 1).
    Yields:
        uint8 (n, 3, R, R) on the CPU.
    Raises:
        ValueError: if `batch_size` is not from 1 to MAX_BATCH_SIZE.
    """
    device = next(G.parameters()).device
    size = (1 if device.type == "cpu" else 16) if batch_size is None else _check_batch_size(batch_size)
    was_training = G.training
    G.eval()
    try:
        for start in range(0, len(z), size):
            rows = torch.arange(start, start + size).clamp_(max=len(z) - 1)
            labels = None if y is None else y[rows].to(device)
            yield to_uint8(G(z[rows].to(device), labels))[: len(z) - start].cpu()
    finally:
        G.train(was_training)


def _check_batch_size(batch_size: int) -> int:
    is_integer = isinstance(batch_size, int) and not isinstance(batch_size, bool)
    if not (is_integer and 1 <= batch_size <= MAX_BATCH_SIZE):
        raise ValueError(f"batch_size={batch_size!r}: an integer from 1 to {MAX_BATCH_SIZE} is allowed")
    return batch_size


def sample(
    G: Generator,
    *,
    classes: Sequence[int] | None = None,
    n: int | None = None,
    seed: int = 0,
    truncation: float | None = None,
    batch_size: int | None = None,
) -> Tensor:
    """Generate one image for each class in a list; the same seed gives the same pictures.

    Args:
        G: generator.
        classes: one label an image; not for a generator without classes.
        n: number of images of a generator without classes.
        seed: 0 to 2**63 - 1.
        truncation: components of z beyond this many standard deviations are drawn again; None for plain latents.
        batch_size: images generated at once, as in `generate`.
    Returns:
        (N, 3, R, R) uint8 on the CPU.
    Raises:
        ValueError: if an argument is out of range; the message names it, its value and what is allowed.
    """
    batches = sample_batches(G, classes=classes, n=n, seed=seed, truncation=truncation, batch_size=batch_size)
    return torch.cat(list(batches))


def sample_batches(
    G: Generator,
    *,
    classes: Sequence[int] | None = None,
    n: int | None = None,
    seed: int = 0,
    truncation: float | None = None,
    batch_size: int | None = None,
) -> Iterator[Tensor]:
    """Generate the images of `sample` a batch at a time, for more of them than fit into memory.

    Arguments are those of `sample`; they are checked before the first batch is asked for.

    Returns:
        Iterator of (n, 3, R, R) uint8 on the CPU.
    """
    if batch_size is not None:
        _check_batch_size(batch_size)
    z, y = sample_inputs(G, classes=classes, n=n, seed=seed, truncation=truncation)
    return generate(G, z, y, batch_size=batch_size)


def morph(
    G: Generator,
    *,
    from_class: int,
    to_class: int,
    steps: int = 8,
    seed: int = 0,
    truncation: float | None = None,
    batch_size: int | None = None,
) -> Tensor:
    """Walk from one class to another with one latent, by blending gains and biases of the conditional batch norms.

    Source: Miyato and Koyama 2018, Figure 8; evaluations/gen_interpolated_images.py of the official code.

    Args:
        G: generator with classes.
        from_class: label of the first image.
        to_class: label of the last image.
        steps: number of images, at least 2.
        seed: 0 to 2**63 - 1.
        truncation: as in `sample`.
        batch_size: images generated at once, as in `generate`.
    Returns:
        (steps, 3, R, R) uint8 on the CPU.
    Raises:
        ValueError: if an argument is out of range.
    """
    z, y = morph_inputs(G, from_class=from_class, to_class=to_class, steps=steps, seed=seed, truncation=truncation)
    return torch.cat(list(generate(G, z, y, batch_size=batch_size)))


def mixture(
    G: Generator,
    *,
    weights: Mapping[int, float],
    n: int = 1,
    seed: int = 0,
    truncation: float | None = None,
    batch_size: int | None = None,
) -> Tensor:
    """Generate images of a mixture of classes, by blending gains and biases of the conditional batch norms.

    Args:
        G: generator with classes.
        weights: label to share, each finite and >= 0, at least one above 0; divided by their sum.
        n: number of images, at least 1.
        seed: 0 to 2**63 - 1.
        truncation: as in `sample`.
        batch_size: images generated at once, as in `generate`.
    Returns:
        (n, 3, R, R) uint8 on the CPU.
    Raises:
        ValueError: if an argument is out of range.
    """
    z, y = mixture_inputs(G, weights=weights, n=n, seed=seed, truncation=truncation)
    return torch.cat(list(generate(G, z, y, batch_size=batch_size)))


def walk(
    G: Generator,
    *,
    to_seed: int,
    in_class: int | None = None,
    steps: int = 8,
    seed: int = 0,
    truncation: float | None = None,
    batch_size: int | None = None,
) -> Tensor:
    """Walk from one latent to another within a class: along the great circle if they are normal, else straight.

    Args:
        G: generator.
        to_seed: seed of the last image, as `seed` is of the first.
        in_class: label of every image; None for a generator without classes.
        steps: number of images, at least 2.
        seed: 0 to 2**63 - 1.
        truncation: as in `sample`.
        batch_size: images generated at once, as in `generate`.
    Returns:
        (steps, 3, R, R) uint8 on the CPU.
    Raises:
        ValueError: if an argument is out of range.
    """
    z, y = walk_inputs(G, to_seed=to_seed, in_class=in_class, steps=steps, seed=seed, truncation=truncation)
    return torch.cat(list(generate(G, z, y, batch_size=batch_size)))
