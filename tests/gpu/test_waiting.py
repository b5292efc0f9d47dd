"""What is not to wait for a GPU, under PyTorch's own watch for synchronisations, and what a run takes there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from sngan_cond import Generator
from sngan_cond.sampling import generate, generate_on_device
from sngan_cond.transfer import HostCopy
from tests.app.models import tiny_generator
from tests.train.evaluation import parts
from train.config import TrainConfig
from train.data.dataset import PreparedDataset
from train.evaluation import classifier
from train.evaluation.distributed import Processes
from train.evaluation.features import extract
from train.evaluation.finite import FiniteWatch
from train.evaluation.job import PLAIN_SOURCES
from train.evaluation.streams import FakeStream, RealStream, draw_labels, real_indices
from train.run.numerics import decide_numerics, gpu_of

pytestmark = pytest.mark.gpu


@contextmanager
def refused_waits(device: torch.device) -> Iterator[None]:
    """Let every operation that waits for the GPU raise."""
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("kind", ["fakes", "reals"])
def test_an_evaluation_waits_for_no_batch(
    tmp_path: Path, device: torch.device, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    dataset, G = parts.tiny_dataset(tmp_path / "data"), parts.tiny_generator().eval().to(device)
    stream = {
        "fakes": FakeStream(G, draw_labels(50, parts.CLASSES, "balanced", seed=1), 50, seed=1, part="all"),
        "reals": RealStream(dataset, real_indices(dataset, 50), device),
    }[kind]
    extractor = parts.small_extractor()
    extractor.module.to(device)
    sources = [(extractor, 50), (PLAIN_SOURCES["pixels"], 30)]
    monkeypatch.setattr(FiniteWatch, "check", lambda _: None)  # the one look that waits
    extract(stream, sources, batch_size=16, processes=Processes())  # libraries start
    with refused_waits(device):
        rows = extract(stream, sources, batch_size=16, processes=Processes())
    assert {found.device.type for found in rows.values()} == {device.type}


def test_a_classifier_trains_without_waiting(
    tmp_path: Path, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, test = (
        PreparedDataset.open(parts.write_dataset(tmp_path / f"{seed}", count=300, seed=seed)) for seed in range(2)
    )
    classifier.train_classifier(data, test, epochs=1, width=4, device=device)  # libraries start
    with monkeypatch.context() as patch:
        patch.setattr(classifier, "accuracy", lambda *_: 0.5)
        with refused_waits(device):
            network, _ = classifier.train_classifier(data, test, epochs=6, width=4, device=device)
    assert classifier.accuracy(network, test) > 0.35  # chance is 0.25, give or take 0.025


def test_images_are_launched_without_waiting_and_copied_when_asked_for(device: torch.device) -> None:
    G: Generator = tiny_generator().to(device)
    z, y = torch.randn(21, 8, generator=torch.Generator().manual_seed(3)), torch.arange(21) % 4
    expected = torch.cat(list(generate(G, z, y, batch_size=8)))
    with refused_waits(device):
        copies = [HostCopy(images) for images in generate_on_device(G, z, y, batch_size=8)]
    images = torch.cat([copy.get() for copy in copies])
    assert images.device.type == "cpu"
    assert torch.equal(images, expected)


def test_a_run_takes_what_the_gpu_computes_in(device: torch.device) -> None:
    gpu = gpu_of(device)
    found = decide_numerics(TrainConfig(), launched="no", made_in=None, gpu=gpu)
    if device.type != "cuda":
        assert (gpu, found.precision) == (None, "fp32")
    elif torch.version.hip is None:
        has = torch.cuda.get_device_capability(device) >= (8, 0)
        assert gpu == (has, has)
        assert found.precision == ("bf16" if has else "fp32")
        assert found.cudnn_benchmark
