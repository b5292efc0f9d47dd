"""Batches of real images on a GPU."""

import pytest
import torch

from tests.train.data.test_feed import dataset as dataset
from train.data.dataset import PreparedDataset
from train.data.feed import RealBatches

pytestmark = pytest.mark.gpu


def test_batches_are_those_of_the_cpu_and_nothing_waits(dataset: PreparedDataset, device: torch.device) -> None:
    """Noise differs between devices; images, labels and order do not."""
    on_gpu = device.type == "cuda"
    cpu = RealBatches(dataset, 6, seed=3)
    kept = ("auto" if on_gpu else "always", "never")
    resident, streamed = (RealBatches(dataset, 6, seed=3, device=device, resident=r) for r in kept)
    assert resident.is_resident
    assert not streamed.is_resident
    for update in (0, 1, 5, 2000):
        images, labels = cpu.at(update)
        ours, our_labels = resident.at(update)
        assert torch.equal(our_labels.cpu(), labels)
        assert torch.equal((ours.cpu().double() * 128).floor(), (images.double() * 128).floor())
        assert torch.equal(streamed.at(update)[0], ours)
    if on_gpu:
        torch.cuda.set_sync_debug_mode("error")
    try:
        resident.at(2001)
        streamed.at(2001)
    finally:
        if on_gpu:
            torch.cuda.set_sync_debug_mode("default")
    streamed.close()
    cpu.close()
