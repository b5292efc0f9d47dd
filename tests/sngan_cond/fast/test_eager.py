"""PyTorch's tools see through the fast layers: tracers, export, fake tensors, `torch.func`, forward mode."""

import importlib.util
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode

from sngan_cond import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig, build_constraint
from sngan_cond.constraints.config import ConstraintConfig
from sngan_cond.fast import native
from sngan_cond.fast.eager import has_triton, runs_eagerly

pytestmark = [
    pytest.mark.skipif(not native.available(), reason="there is no C++ compiler for the native kernels"),
    pytest.mark.filterwarnings("ignore"),  # tracers warn of Python's branches, and of each other
]


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
