"""Images by class, morphs, mixtures and walks, from a generator and a seed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import torch
from torch import Tensor

from sngan_cond.inputs import Inputs, mixture_inputs, morph_inputs, sample_inputs, walk_inputs
from sngan_cond.networks.generator import Generator
from sngan_cond.networks.layers import eval_mode
from sngan_cond.validation import between, check

# Every batch is computed in full, so a typing error could otherwise ask for terabytes.
BatchSize = Annotated[int, between(1, 65_536)]


def sample(
    G: Generator,
    *,
    classes: Sequence[int] | None = None,
    n: int | None = None,
    seed: int = 0,
    truncation: float | None = None,
    batch_size: int | None = None,
) -> Tensor:
    """Generate one image for each class in a list; the same seed gives the same images.

    Args:
        classes: one label per image; not for a generator without classes.
        n: number of images of a generator without classes.
        seed: 0 to 2**63 - 1.
        truncation: components of z beyond this many standard deviations are drawn again; None for plain latents.
        batch_size: as in `generate`.
    Returns:
        (N, 3, R, R) uint8 on the CPU.
    Raises:
        ValueError: if an argument is out of range; the message names it, its value and what is allowed.
    """
    return _images(G, sample_inputs(G, classes=classes, n=n, seed=seed, truncation=truncation), batch_size)


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
    """Morph one class into another under one latent, by blending gains and biases of the conditional batch norms.

    Source: Miyato and Koyama 2018, Figure 8; evaluations/gen_interpolated_images.py of the official code.

    Args:
        G: generator with classes.
        from_class: label of the first image.
        to_class: label of the last image.
        steps: number of images, at least 2.
        seed, truncation, batch_size: as in `sample`.
    Returns:
        (steps, 3, R, R) uint8 on the CPU.
    Raises:
        ValueError: if an argument is out of range.
    """
    inputs = morph_inputs(G, from_class=from_class, to_class=to_class, steps=steps, seed=seed, truncation=truncation)
    return _images(G, inputs, batch_size)


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
        weights: label to weight, each finite and >= 0, at least one above 0; divided by their sum.
        n: number of images, at least 1.
        seed, truncation, batch_size: as in `sample`.
    Returns:
        (n, 3, R, R) uint8 on the CPU.
    Raises:
        ValueError: if an argument is out of range.
    """
    inputs = mixture_inputs(G, weights=weights, n=n, seed=seed, truncation=truncation)
    return _images(G, inputs, batch_size)


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
    """Walk from one latent to another within a class: by slerp where latents are normal, else along a straight line.

    Args:
        to_seed: seed of the last image, as `seed` is of the first.
        in_class: label of every image; None for a generator without classes.
        steps: number of images, at least 2.
        seed, truncation, batch_size: as in `sample`.
    Returns:
        (steps, 3, R, R) uint8 on the CPU.
    Raises:
        ValueError: if an argument is out of range.
    """
    inputs = walk_inputs(G, to_seed=to_seed, in_class=in_class, steps=steps, seed=seed, truncation=truncation)
    return _images(G, inputs, batch_size)


def _images(G: Generator, inputs: Inputs, batch_size: int | None) -> Tensor:
    return torch.cat(list(generate(G, *inputs, batch_size=batch_size)))


@torch.inference_mode()
def generate(G: Generator, z: Tensor, y: Tensor | None, *, batch_size: int | None = None) -> Iterator[Tensor]:
    """Run the generator in inference mode, a batch at a time.

    Under one batch size an image depends on its own latent and class alone, not on how many are made with it.

    Args:
        G: generator; its mode is restored afterwards.
        z: (N, latent_dim) latents.
        y: (N,) labels, (N, K) class weights or None.
        batch_size: images per batch; None takes 1 on a CPU, where larger batches are hardly faster, and 16 elsewhere.
            Changes speed and memory, and the images by rounding only (one byte in ten thousand, by 1).
    Yields:
        uint8 (n, 3, R, R) on the CPU.
    Raises:
        ValueError: if `batch_size` is not from 1 to 65,536.
    """
    device = next(G.parameters()).device
    if batch_size is None:
        batch_size = 1 if device.type == "cpu" else 16
    check("batch_size", batch_size, BatchSize)
    with eval_mode(G):
        for start in range(0, len(z), batch_size):
            # Batches of different sizes run through different kernels, which round differently. So the last batch is
            # filled up with copies of the last input, and the surplus images are dropped.
            index = torch.arange(start, start + batch_size).clamp_(max=len(z) - 1)
            labels = None if y is None else y[index].to(device)
            yield to_uint8(G(z[index].to(device), labels))[: len(z) - start].cpu()


def to_uint8(images: Tensor) -> Tensor:
    """Turn float images in [-1, 1], of any shape, into uint8: clip(127.5 x + 127.5, 0, 255) truncated.

    Source: evaluation.py of pfnet-research/sngan_projection.
    """
    return (images.float() * 127.5 + 127.5).clamp_(0, 255).to(torch.uint8)
