"""Images by class, morphs, mixtures and walks, from a generator and a seed."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from tqdm import tqdm  # type: ignore[import-untyped]

from sngan_cond.classes import Class
from sngan_cond.fast.waiting import WAITING
from sngan_cond.images import to_pil
from sngan_cond.inputs import (
    ClassOrClasses,
    Inputs,
    generator_in,
    mixture_inputs,
    morph_inputs,
    sample_inputs,
    walk_inputs,
)
from sngan_cond.modes import eval_mode
from sngan_cond.networks.generator import Generator
from sngan_cond.transfer import HostCopy, to_device
from sngan_cond.validation import check, short_repr, whole_number

# Every batch is computed in full, so a typing error could otherwise ask for terabytes.
_MAX_BATCH_SIZE = 65_536

Output = Literal["tensor", "numpy", "pil"]
Progress = Callable[[int, int], object] | bool | None

_AHEAD = {"cuda": 1}  # batches that a device computes, by its type, while the host takes the one before
# Numbers in the widest features of one batch on a CPU: 4 images of the 128 px network, 16 of the 32 px one. With fewer
# the products are thin and the threads' common work short, with more the features outgrow the caches. Measured:
# benchmarks/README.md.
_CPU_FEATURES = 1 << 22


def sample(
    G: nn.Module,
    classes: ClassOrClasses | None = None,
    *,
    n: int | None = None,
    seed: int | None = None,
    generator: torch.Generator | None = None,
    truncation: float | None = None,
    latent: str | None = None,
    batch_size: int | None = None,
    output: Output = "tensor",
    progress: Progress = None,
) -> Any:
    """Generate images of classes; the same seed gives the same images.

    Args:
        G: generator, also wrapped by `DataParallel`, `DistributedDataParallel` or `torch.compile`.
        classes: one class for all images, or a list, array or tensor of one class per image; a class is an index, a
            name or a WordNet id. None for a generator without classes.
        n: number of images of one class or of a generator without classes; None is 1.
        seed: 0 to 2**63 - 1; None is 0.
        generator: draws the latents instead of a seed; a `torch.Generator` on the CPU, which moves on.
        truncation: components of z beyond this many standard deviations are drawn again; None for plain latents.
        latent: name of the one latent of all images, as in `sngan_cond.ancestry`, instead of seed, generator and
            truncation; of one class, or without classes, n is then 1.
        batch_size: as in `generate`.
        output: "tensor" for (N, 3, R, R) uint8 on the CPU, "numpy" for an array (N, R, R, 3) uint8, "pil" for a list of
            Pillow's images.
        progress: True for a bar on stderr, or a function called with the number of images made and that of all after
            every batch; what it raises ends the sampling.
    Returns:
        N images, as `output` says.
    Raises:
        ValueError: if an argument is out of range; the message names it, its value and what is allowed.
    """
    drawing: Any = {"seed": seed, "generator": generator, "truncation": truncation, "latent": latent}
    inputs = sample_inputs(G, classes=classes, n=n, **drawing)
    return make_images(G, inputs, batch_size, output, progress)


def morph(
    G: nn.Module,
    from_class: Class,
    to_class: Class,
    *,
    steps: int = 8,
    seed: int | None = None,
    generator: torch.Generator | None = None,
    truncation: float | None = None,
    latent: str | None = None,
    batch_size: int | None = None,
    output: Output = "tensor",
    progress: Progress = None,
) -> Any:
    """Morph one class into another under one latent, by blending gains and biases of the conditional batch norms.

    Source: Miyato and Koyama 2018, Figure 8; evaluations/gen_interpolated_images.py of the official code.

    Args:
        G: generator with classes, as in `sample`.
        from_class: class of the first image.
        to_class: class of the last image.
        steps: number of images, at least 2.
        seed, generator, truncation, latent, batch_size, output, progress: as in `sample`.
    Returns:
        `steps` images, as `output` says.
    Raises:
        ValueError: if an argument is out of range.
    """
    drawing: Any = {"seed": seed, "generator": generator, "truncation": truncation, "latent": latent}
    inputs = morph_inputs(G, from_class=from_class, to_class=to_class, steps=steps, **drawing)
    return make_images(G, inputs, batch_size, output, progress)


def mixture(
    G: nn.Module,
    weights: Mapping[Any, float],
    *,
    n: int = 1,
    seed: int | None = None,
    generator: torch.Generator | None = None,
    truncation: float | None = None,
    latent: str | None = None,
    batch_size: int | None = None,
    output: Output = "tensor",
    progress: Progress = None,
) -> Any:
    """Generate images of a mixture of classes, by blending gains and biases of the conditional batch norms.

    Args:
        G: generator with classes, as in `sample`.
        weights: class to weight, each finite and >= 0, at least one above 0; divided by their sum.
        n: number of images, at least 1; of a latent by name 1.
        seed, generator, truncation, latent, batch_size, output, progress: as in `sample`.
    Returns:
        n images, as `output` says.
    Raises:
        ValueError: if an argument is out of range.
    """
    drawing: Any = {"seed": seed, "generator": generator, "truncation": truncation, "latent": latent}
    inputs = mixture_inputs(G, weights=weights, n=n, **drawing)
    return make_images(G, inputs, batch_size, output, progress)


def walk(
    G: nn.Module,
    in_class: Class | None = None,
    *,
    to_seed: int,
    steps: int = 8,
    seed: int | None = None,
    truncation: float | None = None,
    latent: str | None = None,
    batch_size: int | None = None,
    output: Output = "tensor",
    progress: Progress = None,
) -> Any:
    """Walk from one latent to another within a class: by slerp where latents are normal, else along a straight line.

    Args:
        G: generator, as in `sample`.
        in_class: class of every image, or a blend (label indices times weights) such as "8*0.7+2*0.3"; None for a
            generator without classes.
        to_seed: seed of the last image, as `seed` is of the first.
        steps: number of images, at least 2.
        latent: name of the first image's latent, as in `sample`, instead of `seed`.
        seed, truncation, batch_size, output, progress: as in `sample`; truncation is not of a latent with a name.
    Returns:
        `steps` images, as `output` says.
    Raises:
        ValueError: if an argument is out of range.
    """
    drawing: Any = {"seed": seed, "truncation": truncation, "latent": latent}
    inputs = walk_inputs(G, to_seed=to_seed, in_class=in_class, steps=steps, **drawing)
    return make_images(G, inputs, batch_size, output, progress)


def make_images(G: nn.Module, inputs: Inputs, batch_size: int | None, output: Output, progress: Progress) -> Any:
    """Generate the images of inputs; the other arguments are those of `sample`."""
    check("output", output, Output)
    total, batches = len(inputs[0]), list[Tensor]()
    if progress is True:
        with tqdm(total=total, unit="image") as bar:
            return make_images(G, inputs, batch_size, output, lambda done, _: bar.update(done - bar.n))
    if progress and not callable(progress):
        raise ValueError(f"progress={short_repr(progress)}: True, None or a function of two numbers is allowed")
    done = 0
    for batch in generate(G, *inputs, batch_size=batch_size):
        batches.append(batch)
        done += len(batch)
        if progress:
            progress(done, total)
    images = torch.cat(batches)
    if output == "pil":
        return [to_pil(image) for image in images]
    return images if output == "tensor" else images.permute(0, 2, 3, 1).contiguous().numpy()


def generate(G: nn.Module, z: Tensor, y: Tensor | None, *, batch_size: int | None = None) -> Iterator[Tensor]:
    """Run the generator in inference mode, a batch at a time.

    Under one batch size an image depends on its own latent and class alone, not on how many are made with it. A GPU is
    fastest with `G.to("cuda", memory_format=torch.channels_last)`, this called under `torch.autocast("cuda",
    torch.bfloat16)` and a larger batch size; the same seed then gives other pictures than in float32, by rounding.

    Args:
        G: generator, wrapped or not; its mode is restored afterwards.
        z: (N, latent_dim) latents of any float type; the generator is given its own.
        y: (N,) labels, (N, K) class weights or None.
        batch_size: images per batch; None takes `default_batch_size`. Changes speed and memory, and the images by
            rounding only (one byte in ten thousand, by 1).
    Yields:
        uint8 (n, 3, R, R) on the CPU.
    Raises:
        ValueError: if `batch_size` is not from 1 to 65,536.
    """
    ahead, under_way = _AHEAD.get(next(G.parameters()).device.type, 0), deque[HostCopy]()
    for images in generate_on_device(G, z, y, batch_size=batch_size):
        under_way.append(HostCopy(images))
        if len(under_way) > ahead:
            yield under_way.popleft().get()
    for copy in under_way:
        yield copy.get()


@torch.inference_mode()
def generate_on_device(G: nn.Module, z: Tensor, y: Tensor | None, *, batch_size: int | None = None) -> Iterator[Tensor]:
    """Do what `generate` does and leave the images where the generator is; the host need not wait for them.

    Args:
        G, z, y, batch_size: as in `generate`.
    Yields:
        uint8 (n, 3, R, R) on the generator's device.
    """
    inner = generator_in(G)
    weight = next(inner.parameters())
    device, z = weight.device, z.to(weight.dtype)
    batch_size = default_batch_size(inner) if batch_size is None else check_batch_size(batch_size)
    with eval_mode(G):
        for start in range(0, len(z), batch_size):
            WAITING.adapt()
            latents, labels = (
                None if rows is None else to_device(_full(rows[start : start + batch_size], batch_size), device)
                for rows in (z, y)
            )
            yield to_uint8(G(latents, labels))[: len(z) - start]


def check_batch_size(batch_size: int) -> int:
    """Return a batch size as Python's integer.

    Raises:
        ValueError: if it is not an integer from 1 to 65,536.
    """
    return whole_number("batch_size", batch_size, 1, _MAX_BATCH_SIZE)


def default_batch_size(G: Generator) -> int:
    """Return how many images a batch holds where nobody says it; it depends on the network and the device alone."""
    if next(G.parameters()).device.type != "cpu":
        return 16
    images = _CPU_FEATURES // (G.config.resolution**2 * G.config.width)
    return min(max(images, 1), 64)


def _full(rows: Tensor, count: int) -> Tensor:
    """Fill a last batch up with copies of its last input; the surplus images are dropped.

    Batches of different sizes run through different kernels, which round differently.
    """
    return torch.cat([rows, rows[-1:].expand(count - len(rows), *rows.shape[1:])])


def to_uint8(images: Tensor) -> Tensor:
    """Turn float images in [-1, 1], of any shape, into uint8: clip(127.5 x + 127.5, 0, 255) truncated.

    Source: evaluation.py of pfnet-research/sngan_projection.
    """
    return (images.float() * 127.5 + 127.5).clamp_(0, 255).to(torch.uint8)
