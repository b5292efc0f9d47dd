"""Images whose latents have names, as parents: what lies near one, and what lies between two."""

from typing import Any

from torch import nn

from sngan_cond.classes import Class
from sngan_cond.inputs import cross_inputs, vary_inputs
from sngan_cond.sampling import Output, Progress, make_images


def vary(
    G: nn.Module,
    in_class: Class | None = None,
    *,
    latent: str,
    radius: float = 0.2,
    n: int = 8,
    seed: int | None = None,
    batch_size: int | None = None,
    output: Output = "tensor",
    progress: Progress = None,
) -> Any:
    """Generate images near one: each latent moves towards another row of a seed, by the same fraction of the way.

    Args:
        G: generator, as in `sample`.
        in_class: class of every image, or a blend, as in `walk`; None for a generator without classes.
        latent: name of the latent to start from, as in `sngan_cond.ancestry`. Image i has the latent
            "LATENT~RADIUS~SEED:i".
        radius: 0 to 1, fraction of the way; 0 leaves the latent as it is.
        n: number of images, at least 1.
        seed: 0 to 2**63 - 1, draws where the images lie; None is 0.
        batch_size, output, progress: as in `sample`.
    Returns:
        n images, as `output` says.
    Raises:
        ValueError: if an argument is out of range.
    """
    inputs = vary_inputs(G, latent=latent, in_class=in_class, radius=radius, n=n, seed=seed)
    return make_images(G, inputs, batch_size, output, progress)


def cross(
    G: nn.Module,
    latent: str,
    to_latent: str,
    in_class: Class | None = None,
    to_class: Class | None = None,
    *,
    steps: int = 4,
    batch_size: int | None = None,
    output: Output = "tensor",
    progress: Progress = None,
) -> Any:
    """Cross two images: down the rows goes the latent from the one to the other, along each row the class.

    Args:
        G: generator, as in `sample`.
        latent: name of the first image's latent, as in `sngan_cond.ancestry`.
        to_latent: name of the second image's latent.
        in_class: class of the first image, or a blend, as in `walk`; None for a generator without classes.
        to_class: class of the second image, likewise.
        steps: number of rows and of columns, at least 2.
        batch_size, output, progress: as in `sample`.
    Returns:
        steps * steps images, row by row, as `output` says; without classes `steps` images. The first is the one image,
        the last the other.
    Raises:
        ValueError: if an argument is out of range.
    """
    inputs = cross_inputs(G, latent=latent, to_latent=to_latent, in_class=in_class, to_class=to_class, steps=steps)
    return make_images(G, inputs, batch_size, output, progress)
