"""A look at both networks between two steps: a fixed sample of G's images, and whether weights move at all.

It moves nothing itself: networks are in evaluation mode, their buffers are put back, and nothing is drawn from a source
that training draws from.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sngan_cond.config import GeneratorConfig
from sngan_cond.latents import draw_latents
from sngan_cond.modes import eval_mode
from sngan_cond.randomness import rng_for

LATENTS, CLASSES = 8, 4  # of the sample; without classes it has as many images
SIDE = 16  # px, to which images are averaged: what differs is their picture, not their grain
_AT_ONCE = 16


class FixedSample:
    """The same latents at every look, each in the same classes.

    Args:
        config: the generator's, for the shape of its latents and the number of its classes.
        seed: the run's; another has other latents.
        device: where the generator is.
    """

    def __init__(self, config: GeneratorConfig, *, seed: int, device: torch.device) -> None:
        self.classes = min(config.num_classes, CLASSES) or 1
        latents = LATENTS if config.num_classes else LATENTS * CLASSES
        z = draw_latents(latents, config.latent_dim, rng=rng_for(seed, "monitor/latents"), latent=config.latent)
        y = torch.linspace(0, config.num_classes - 1, self.classes).round().long().repeat_interleave(latents)
        self.z = z.repeat(self.classes, 1).to(device)
        self.y = y.to(device) if config.num_classes else None

    @torch.no_grad()
    def images(self, G: nn.Module) -> Tensor:
        """Return the generator's images (N, 3, R, R), all latents of one class after the other."""
        with untouched(G):
            parts = zip(self.z.split(_AT_ONCE), _split(self.y, len(self.z)), strict=True)
            return torch.cat([G(z, y).float() for z, y in parts])

    def diversity(self, images: Tensor, of_reals: float) -> dict[str, Tensor]:
        """Return how far images differ, as shares of how far real images do.

        Args:
            images: of this sample.
            of_reals: `spread` of real images, above 0.
        Returns:
            Scalars: `diversity` of all, `latent_diversity` within a class, `class_diversity` from class to class at one
            latent (where there are several classes).
        """
        coarse = shrunk(images)
        of = coarse.unflatten(0, (self.classes, -1))
        found = {"diversity": spread(coarse), "latent_diversity": spread(of, dim=1)}
        if self.classes > 1:
            found["class_diversity"] = spread(of, dim=0)
        return {name: value / of_reals for name, value in found.items()}


class Movement:
    """Whether a network's weights move from look to look.

    Args:
        network: as it is now.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network, self._before = network, _norms(network)

    def share(self) -> Tensor:
        """Return the share of its tensors that moved since the last call, a scalar.

        By their norms, and by more than a billionth of all of these together: a bias of 0 becomes another number under
        whatever rate.
        """
        before, self._before = self._before, _norms(self.network)
        return ((self._before - before).abs() > 1e-9 * before.sum()).float().mean()


class Labelled(NamedTuple):
    """Images (N, 3, R, R) in [-1, 1] and their labels (N,), None without classes."""

    images: Tensor
    y: Tensor | None


@torch.no_grad()
def overfitting(D: nn.Module, *, training: Labelled, held_out: Labelled, generated: Labelled) -> Tensor:
    """Return how far D's scores of held-out images lie from those of training images towards generated ones.

    Source: Karras et al. 2020 (training with limited data), equation 1, r_v.

    Returns:
        A scalar: 0 where it scores both alike, 1 where it takes held-out images for generated ones; also 0 where it
        hardly tells training images from generated ones, by less than a standard deviation of their scores.
    """
    with untouched(D):
        scores = [D(*part).score.float() for part in (training, held_out, generated)]
    known, unseen, fake = (score.mean() for score in scores)
    noise = torch.cat([scores[0] - known, scores[2] - fake]).std(correction=0)
    return torch.where(known - fake > noise, (known - unseen) / (known - fake), torch.zeros_like(known))


def shrunk(images: Tensor) -> Tensor:
    """Return images (N, 3, R, R) averaged to SIDE x SIDE, flat: (N, 3 * SIDE**2)."""
    return F.adaptive_avg_pool2d(images, SIDE).flatten(1)


def spread(images: Tensor, dim: int = 0) -> Tensor:
    """Return the standard deviation along an axis, as the root of its mean square over all others: a scalar."""
    return images.var(dim=dim, correction=0).mean().sqrt()


@contextmanager
def untouched(network: nn.Module) -> Iterator[None]:
    """Use a network as it is loaded, uncompiled and in evaluation mode; afterwards its buffers are what they were.

    The official spectral norm moves u of linear and embedding layers in evaluation mode too.
    """
    before = [buffer.clone() for buffer in network.buffers()]
    with ExitStack() as stack:
        stack.enter_context(eval_mode(network))
        if "torch._dynamo" in sys.modules:  # nobody else can have compiled, and loading it takes seconds
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield
    for buffer, value in zip(network.buffers(), before, strict=True):
        buffer.copy_(value)


@torch.no_grad()
def _norms(network: nn.Module) -> Tensor:
    return torch.stack(torch._foreach_norm(list(network.parameters()), 1))


def _split(y: Tensor | None, count: int) -> tuple[Tensor | None, ...]:
    return (None,) * -(-count // _AT_ONCE) if y is None else y.split(_AT_ONCE)
