"""PyTorch's tools see through the fast layers: tracers, export, fake tensors, `torch.func`, forward mode."""

import importlib.util
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx

from sngan_cond import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig, build_constraint
from sngan_cond.constraints.config import ConstraintConfig
from sngan_cond.fast import native, set_backend
from sngan_cond.fast.eager import has_triton, runs_eagerly

pytestmark = [
    pytest.mark.skipif(not native.available(), reason="there is no C++ compiler for the native kernels"),
    pytest.mark.filterwarnings("ignore"),  # tracers warn of Python's branches, and of each other
]

Z, Y = torch.linspace(-1, 1, 12).view(3, 4).sin(), torch.tensor([2, 0, 1])


@pytest.fixture(name="G", scope="module")
def _generator() -> Generator:
    torch.manual_seed(0)
    G = Generator(GeneratorConfig(resolution=32, num_classes=3, channels=4, latent_dim=4))
    set_backend(G, "minimal")  # native kernels in every layer
    for _ in range(10):  # or its statistics would make every image black or white
        G(torch.randn(16, 4), torch.randint(3, (16,)))
    return G.eval().requires_grad_(False)


def _vmapped(G: Generator) -> Tensor:
    return torch.func.vmap(lambda z, y: G(z[None], y[None])[0])(Z, Y)


def _by_make_fx(G: Generator) -> Tensor:
    return make_fx(lambda z: G(z, Y))(Z)(Z + 0)


def _exported(G: Generator) -> Tensor:
    return torch.export.export(G, (Z, Y)).module()(Z, Y)


def _traced(G: Generator) -> Tensor:
    return torch.jit.trace(G, (Z, Y), check_trace=False)(Z, Y)


SLOW = [pytest.param(tool, marks=pytest.mark.slow) for tool in (_by_make_fx, _exported)]


@pytest.mark.parametrize("tool", [_vmapped, _traced, *SLOW], ids=lambda tool: tool.__name__)
def test_images(tool: Callable[[Generator], Tensor], G: Generator) -> None:
    """The other latents and backends round differently, by 1e-6 a layer."""
    torch.testing.assert_close(tool(G), G(Z, Y), rtol=0, atol=1e-4)


def test_gradients_of_functions(G: Generator) -> None:
    def total(z: Tensor) -> Tensor:
        return G(z, Y).square().mean()

    leaf = Z.clone().requires_grad_()
    (expected,) = torch.autograd.grad(total(leaf), leaf)
    torch.testing.assert_close(torch.func.grad(total)(Z), expected, rtol=1e-3, atol=1e-6)
    along = torch.func.jvp(total, (Z,), (torch.ones_like(Z),))[1]
    torch.testing.assert_close(along, expected.sum(), rtol=1e-3, atol=1e-6)
    with forward_ad.dual_level():
        dual = forward_ad.unpack_dual(total(forward_ad.make_dual(Z, torch.ones_like(Z))))
    torch.testing.assert_close(dual.tangent, expected.sum(), rtol=1e-3, atol=1e-6)


def test_gradients_of_parameters(G: Generator) -> None:
    D = Discriminator(DiscriminatorConfig(resolution=32, num_classes=3, channels=4)).eval()
    set_backend(D, "minimal")
    x = G(Z, Y)

    def total(parameters: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(D, parameters, (x, Y)).score.mean()

    parameters = {name: parameter.detach() for name, parameter in D.named_parameters()}
    D(x, Y).score.mean().backward()
    expected = {name: parameter.grad for name, parameter in D.named_parameters()}
    torch.testing.assert_close(torch.func.grad(total)(parameters), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_fake_tensors(device: str) -> None:
    with FakeTensorMode(), torch.device(device):
        G = Generator(GeneratorConfig(resolution=32, num_classes=3, channels=4, latent_dim=4))
        D = Discriminator(DiscriminatorConfig(resolution=32, num_classes=3, channels=4))
        build_constraint(ConstraintConfig()).attach(D)
        y = torch.zeros(2, dtype=torch.int64)
        images = G(torch.zeros(2, 4), y)
        score = D(images, y).score
    assert (images.shape, images.device.type) == ((2, 3, 32, 32), device)
    assert (score.shape, score.device.type) == ((2,), device)


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
def test_triton_is_used_where_its_driver_can_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_a_compiler() -> object:
        raise RuntimeError("Failed to find C compiler")

    def of(arch: int) -> Callable[[], object]:
        return lambda: SimpleNamespace(arch=arch)

    monkeypatch.setattr(torch.version, "cuda", "13.0")
    found = []
    for target in (without_a_compiler, of(61), of(90)):
        active = SimpleNamespace(get_current_target=target)
        monkeypatch.setattr("triton.runtime.driver", SimpleNamespace(active=active))
        found.append(has_triton.__wrapped__())
    assert found == [False, False, True]


class Labelled(Tensor):
    """A tensor of somebody else's."""


def test_what_only_computes() -> None:
    x = torch.zeros(2)
    assert runs_eagerly(x, torch.nn.Parameter(x))
    assert not runs_eagerly(x, x.as_subclass(Labelled))
    with torch.device("meta"), torch.autocast("cpu"), torch.inference_mode():
        assert runs_eagerly(x)
    with FakeTensorMode() as mode:
        assert not runs_eagerly(x)
        fake = mode.from_tensor(x)
    assert not runs_eagerly(fake)
    seen = []
    torch.func.vmap(lambda _row: (seen.append(runs_eagerly(x)), _row)[1])(torch.zeros(3, 2))
    assert seen == [False]
