"""Sampling, the page's engine and evaluation on a GPU against the same on the CPU."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from app.engine import Engine
from sngan_cond import Generator, mixture, sample
from sngan_cond.sampling import generate
from tests.app.asking import Asking
from tests.app.models import tiny_generator
from tests.train.evaluation import parts
from train.evaluation.extractors import load_extractor
from train.evaluation.protocols import PROTOCOLS
from train.evaluation.weights import FALLBACK

pytestmark = pytest.mark.gpu

CLASSES = [0, 3, 3, 1, 2] * 5  # more than a batch holds on a GPU


@pytest.fixture
def on_cpu() -> Generator:
    return tiny_generator()


@pytest.fixture
def G(device: torch.device) -> Generator:  # noqa: N802  # the networks' own name
    return tiny_generator().to(device)


def assert_near(ours: Tensor, expected: Tensor) -> None:
    """Truncation to bytes turns rounding noise into one grey level where a value falls on a step: rarely."""
    difference = (ours.int() - expected.int()).abs()
    assert difference.max() <= 1
    assert (difference > 0).float().mean() <= 4e-3  # four times what devices of one kind may differ by


def test_a_seed_gives_the_pictures_of_the_cpu(G: Generator, on_cpu: Generator) -> None:
    images = sample(G, classes=CLASSES, seed=5)
    assert images.device.type == "cpu"
    assert torch.equal(sample(G, classes=CLASSES, seed=5), images)
    assert not torch.equal(sample(G, classes=CLASSES, seed=6), images)
    assert_near(images, sample(on_cpu, classes=CLASSES, seed=5))
    assert_near(mixture(G, weights={3: 0.7, 0: 2.1}, n=3), mixture(on_cpu, weights={3: 0.7, 0: 2.1}, n=3))


def test_a_picture_does_not_depend_on_those_that_are_made_with_it(G: Generator) -> None:
    images = sample(G, classes=CLASSES, seed=5)
    assert torch.equal(sample(G, classes=CLASSES[:2], seed=5), images[:2])
    for batch_size in (1, 7):
        assert_near(sample(G, classes=CLASSES, seed=5, batch_size=batch_size), images)


@pytest.fixture
def as_pytorch_has_it() -> Iterator[None]:
    """Convolutions in TF32, as they are for users who set nothing."""
    torch.backends.cudnn.allow_tf32 = True
    yield
    torch.backends.cudnn.allow_tf32 = False


@pytest.mark.usefixtures("as_pytorch_has_it")
def test_with_tf32_pictures_look_the_same(G: Generator, on_cpu: Generator) -> None:
    """Factors of 10 bits, 2^-11 of a value, in five convolutions one after the other: half a grey level of 255."""
    images, expected = (sample(network, classes=CLASSES, seed=5).int() for network in (G, on_cpu))
    assert (images - expected).abs().max() <= 8
    assert (images - expected).abs().float().mean() <= 0.5


def test_two_requests_at_once_get_the_pictures_of_the_cpu(G: Generator, on_cpu: Generator) -> None:
    """They share batches; each gets its own images, in order."""
    engine = Engine()
    z = torch.randn(2, 70, 8, generator=torch.Generator().manual_seed(3))
    y = torch.arange(140).reshape(2, 70) % 4
    askings = [Asking(engine, G, 70, z=z[i], y=y[i]) for i in range(2)]
    made = [torch.cat(list(asking.images())) for asking in askings]
    for i in range(2):
        assert_near(made[i], torch.cat(list(generate(on_cpu, z[i], y[i]))))


def test_scores_are_those_of_the_cpu(tmp_path: Path, device: torch.device) -> None:
    """Weights changed by 3e-5 of themselves, ten times rounding, move these scores by up to 2.3e-4 on a CPU."""
    dataset = parts.tiny_dataset(tmp_path / "data")
    protocol = PROTOCOLS["quick"].reduced(fakes=24, reals=30)
    values = {}
    for where in ("cpu", device.type):
        extractor = load_extractor(FALLBACK, device=where)
        report = parts.measured(parts.tiny_generator().to(where), dataset, protocol, extractor=extractor, seed=3)
        values[where] = {row["name"]: row["value"] for row in report.metrics}
    assert values[device.type] == pytest.approx(values["cpu"], rel=5e-4)
    assert len(values["cpu"]) == 5
