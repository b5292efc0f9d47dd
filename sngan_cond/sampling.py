"""Seeded latents, images by class and morphs between classes: whoever needs pictures comes here."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from sngan_cond.generator import Generator

MIN_TRUNCATION = 0.05
MAX_SEED = 2**63 - 1


def check_seed(seed: int) -> int:
    """Return a seed that generators accept.

    Args:
        seed: to be checked.
    Raises:
        ValueError: if it is not an integer from 0 to 2**63 - 1.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
        raise ValueError(f"seed={seed!r}: an integer from 0 to {MAX_SEED} is allowed")
    return seed


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
    generator: torch.Generator,
    truncation: float | None = None,
    latent: str = "normal",
) -> Tensor:
    """Draw latents row by row, so that the first rows do not depend on how many follow.

    Args:
        count: number of rows N.
        latent_dim: length of each.
        generator: source of randomness, on the CPU.
        truncation: components of greater magnitude are drawn again; None takes them as they come.
        latent: "normal" or "uniform" on [-1, 1).
    Returns:
        (N, latent_dim) float32, on the CPU.
    """
    rows = torch.empty(count, latent_dim)
    for row in rows:
        _fill(row, generator, latent)
        if truncation is not None:
            while len(outside := (row.abs() > truncation).nonzero().squeeze(1)):
                row[outside] = _fill(torch.empty(len(outside)), generator, latent)
    return rows


def _fill(row: Tensor, generator: torch.Generator, latent: str) -> Tensor:
    return row.normal_(generator=generator) if latent == "normal" else row.uniform_(-1, 1, generator=generator)


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
        ValueError: if `batch_size` is below 1.
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
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size={batch_size!r}: an integer from 1 is allowed")
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
    count, y = _labels(G, classes, n)
    generator = torch.Generator().manual_seed(check_seed(seed))
    z = draw_latents(
        count,
        G.config.latent_dim,
        generator=generator,
        truncation=check_truncation(truncation),
        latent=G.config.latent,
    )
    return generate(G, z, y, batch_size=batch_size)


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
    if isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < G.config.num_classes:
        raise ValueError(f"class {label!r}: an integer from 0 to {G.config.num_classes - 1} is allowed")
    return label


def class_weights(G: Generator, weights: dict[int, float]) -> Tensor:
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
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 2:
        raise ValueError(f"steps={steps!r}: an integer from 2 is allowed")
    start = class_weights(G, {from_class: 1.0})
    end = class_weights(G, {to_class: 1.0})
    share = torch.linspace(0, 1, steps)[:, None]
    rows = (1 - share) * start + share * end  # (steps, K)
    generator = torch.Generator().manual_seed(check_seed(seed))
    z = draw_latents(
        1,
        G.config.latent_dim,
        generator=generator,
        truncation=check_truncation(truncation),
        latent=G.config.latent,
    )
    return torch.cat(list(generate(G, z.expand(steps, -1), rows, batch_size=batch_size)))
