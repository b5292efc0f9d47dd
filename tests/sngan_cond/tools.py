"""Networks, inputs and comparisons for the tests of PyTorch's tools."""

import copy
import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from sngan_cond import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig, build_constraint
from sngan_cond.constraints.config import ConstraintConfig
from sngan_cond.fast import set_backend

CLASSES, LATENT = 3, 8
# Widths at which the native kernels run, and so that every form of `choices` for a CPU is met.
SIZES = {"G 32 px": (32, 64), "G 128 px": (128, 2), "D 32 px": (32, 64), "D 128 px": (128, 4)}  # pixels, channels
NETWORKS = [*SIZES, "D 32 px, normalised", "D 128 px, normalised"]
BACKENDS = ("plain", "auto")
COMPARED = 2  # images


class Inputs(NamedTuple):
    """Latents (N, LATENT) of a generator or images of a discriminator, and their labels or class weights."""

    x: Tensor
    y: Tensor


class Score(nn.Module):
    """A discriminator as tools can record it: they return tensors only."""

    def __init__(self, D: Discriminator) -> None:
        super().__init__()
        self.D = D

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.D(x, y).score


@functools.cache
def _built(name: str) -> nn.Module:
    torch.manual_seed(0)
    side, channels = SIZES[name.partition(",")[0]]
    if name.startswith("G"):
        G = Generator(GeneratorConfig(resolution=side, num_classes=CLASSES, channels=channels, latent_dim=LATENT))
        for _ in range(10):  # or its statistics would make every image black or white
            G(torch.randn(8, LATENT), torch.randint(CLASSES, (8,)))
        return G.eval()
    # The mean keeps scores, and so their gradients, of order 1.
    D = Discriminator(DiscriminatorConfig(resolution=side, num_classes=CLASSES, channels=channels, pool="mean"))
    if name.endswith("normalised"):
        build_constraint(ConstraintConfig(kind="spectral")).attach(D)
        for _ in range(100):  # u moves at every use, also of those that a tool takes to look on: until it stands still
            D(torch.randn(1, 3, side, side), torch.tensor([1]))
    return Score(D).eval()


def build(name: str, backend: str) -> nn.Module:
    """Return a network of its own, of which only its backend differs from the plain one."""
    network = copy.deepcopy(_built(name))
    set_backend(network, backend)  # type: ignore[arg-type]
    return network


def inputs_of(name: str, count: int) -> Inputs:
    """Return inputs that are others for another count."""
    torch.manual_seed(count)
    side = SIZES[name.partition(",")[0]][0]
    x = torch.randn(count, LATENT) if name.startswith("G") else torch.rand(count, 3, side, side) * 2 - 1
    return Inputs(x, (torch.arange(count) * 2 + count) % CLASSES)


def loss_of(out: Tensor) -> Tensor:
    """Return an uneven function of images or scores."""
    return (out.sin() * torch.linspace(-1, 1.3, out[0].numel()).view(out.shape[1:]).to(out.dtype)).sum()


def gradients_of(network: Callable[..., Tensor], parameters: Iterable[Tensor], x: Tensor, y: Tensor) -> list[Tensor]:
    """Return the gradients of the loss in x and in the parameters."""
    x = x.detach().requires_grad_()
    return list(torch.autograd.grad(loss_of(network(x, y)), [x, *parameters]))


def penalty_of(network: Callable[..., Tensor], wanted: Sequence[Tensor], x: Tensor, y: Tensor) -> list[Tensor]:
    """Return the gradients of |d loss / dx|^2 in what is wanted."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of(network(x, y)), x, create_graph=True)
    return list(torch.autograd.grad(gradient.square().sum(), wanted, allow_unused=True, materialize_grads=True))


@functools.cache
def expected_of(name: str, what: str) -> list[Tensor]:
    """Return what the plain network gives without a tool: "values", "gradients" or "penalty"."""
    network, inputs = build(name, "plain"), inputs_of(name, COMPARED)
    if what == "values":
        return [network(*inputs).detach()]
    if what == "gradients":
        return gradients_of(network, network.parameters(), *inputs)
    return penalty_of(network, list(network.parameters()), *inputs)


def error_of(ours: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Return the largest error of a tensor, relative to its length, or to a hundredth of that of all if it is shorter.

    A bias before a batch norm has a gradient of 0, and nothing but rounding in it.
    """
    assert [t.shape for t in ours] == [t.shape for t in expected]
    lengths = torch.stack([t.double().norm() for t in expected])
    errors = torch.stack([(a.double() - b.double()).norm() for a, b in zip(ours, expected, strict=True)])
    return (errors / lengths.clamp(min=lengths.norm() / 100)).max().item()


def cases(
    tools: Sequence[Callable[..., Any]], quick: Sequence[Callable[..., Any]], networks: Sequence[str] = NETWORKS
) -> list[Any]:
    """Return every tool with each network, slow but for some of the quick tools.

    The plain layers are PyTorch's own: they meet a generator and a discriminator.
    """
    found = []
    for tool, name, backend in itertools.product(tools, networks, BACKENDS):
        smallest = name in ("G 32 px", "D 32 px, normalised")
        if backend == "plain" and not smallest:
            continue
        is_quick = tool in quick and backend == "auto" and smallest
        marks = () if is_quick else pytest.mark.slow
        found.append(pytest.param(tool, name, backend, marks=marks, id=f"{tool.__name__}-{name}-{backend}"))
    return found
