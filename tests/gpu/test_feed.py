"""Batches of real images on a GPU."""

import pytest
import torch

from sngan_cond import GeneratorConfig
from tests.train.data.test_feed import dataset as dataset
from train.data.dataset import PreparedDataset
from train.data.feed import RealBatches
from train.trainer.noise import LatentSampler

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("options", [{}, {"balance": "classes", "held_out": 0.2}])
def test_batches_are_those_of_the_cpu_and_nothing_waits(
    dataset: PreparedDataset, options: dict, device: torch.device
) -> None:
    """Noise differs between devices; images, labels and order do not."""
    on_gpu = device.type == "cuda"
    cpu = RealBatches(dataset, 6, seed=3, **options)
    kept = ("auto" if on_gpu else "always", "never")
    resident, streamed = (RealBatches(dataset, 6, seed=3, device=device, resident=r, **options) for r in kept)
    assert resident.is_resident
    assert not streamed.is_resident
    for update in (0, 1, 5, 2000):
        images, labels = cpu.at(update)
        ours, our_labels = resident.at(update)
        assert torch.equal(our_labels.cpu(), labels)
        assert torch.equal((ours.cpu().double() * 128).floor(), (images.double() * 128).floor())
        assert torch.equal(streamed.at(update)[0], ours)
    for ours, theirs in zip(resident.held_out(3), cpu.held_out(3), strict=True):
        assert torch.equal((ours.cpu().double() * 128).floor(), (theirs.double() * 128).floor())
    noise = LatentSampler(GeneratorConfig(resolution=32, num_classes=3), 1, 0, 1, device).with_labels_like([5, 1, 4])
    noise.fakes("d", 0, 6)
    if on_gpu:
        torch.cuda.set_sync_debug_mode("error")
    try:
        noise.fakes("d", 1, 6)
        resident.at(2001)
        streamed.at(2001)
    finally:
        if on_gpu:
            torch.cuda.set_sync_debug_mode("default")
    streamed.close()
    cpu.close()
