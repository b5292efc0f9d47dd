"""Feeding: coverage, purity, world-size equality, dequantisation, and the streaming path against the resident one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from train.data.dataset import PreparedDataset
from train.data.feed import RealBatches
from train.data.info import DatasetInfo
from train.data.order import ShuffledOrder
from train.errors import DataError

COUNT, SIDE, CLASSES = 23, 8, 3  # 23 is prime to every batch size below, so batches straddle epochs


@pytest.fixture
def dataset() -> PreparedDataset:
    """Random images in memory; image i carries i in its first pixel and has label i % 3."""
    images = np.random.default_rng(5).integers(0, 256, size=(COUNT, SIDE, SIDE, 3), dtype=np.uint8)
    images[:, 0, 0, 0] = np.arange(COUNT)
    labels = np.arange(COUNT, dtype=np.int64) % CLASSES
    info = DatasetInfo("test", None, SIDE, COUNT, ["a", "b", "c"], None, np.bincount(labels).tolist(), {}, {}, {})
    return PreparedDataset(Path("unused"), images, labels, info)


def seen(images: torch.Tensor) -> list[int]:
    """Image numbers of a batch, read back from the first pixel."""
    return ((images[:, 0, 0, 0] + 1) * 128).floor().int().tolist()


@pytest.mark.parametrize("batch_total", [4, 23, 60])
def test_every_epoch_shows_each_image_once(dataset: PreparedDataset, batch_total: int) -> None:
    batches = RealBatches(dataset, batch_total, seed=1, resident="always")
    order = [i for update in range(-(-3 * COUNT // batch_total)) for i in seen(batches.at(update)[0])]
    epochs = [order[e * COUNT : (e + 1) * COUNT] for e in range(3)]
    assert all(sorted(epoch) == list(range(COUNT)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert epochs[0] != list(range(COUNT))


def test_labels_belong_to_their_images(dataset: PreparedDataset) -> None:
    images, labels = RealBatches(dataset, 17, seed=1).at(3)
    assert labels.dtype == torch.int64
    assert labels.tolist() == [i % CLASSES for i in seen(images)]


@pytest.mark.parametrize("resident", ["always", "never"])
def test_a_batch_depends_on_seed_and_update_alone(dataset: PreparedDataset, resident: str) -> None:
    def batches(seed: int) -> RealBatches:
        return RealBatches(dataset, 6, seed=seed, flip=True, resident=resident)

    in_order, other = batches(1), batches(2)
    straight = [in_order.at(update) for update in range(9)]
    for update in (8, 0, 5, 5):  # backwards, far ahead, twice: what a resumed run does
        images, labels = batches(1).at(update)
        assert torch.equal(images, straight[update][0])
        assert torch.equal(labels, straight[update][1])
    assert not torch.equal(other.at(0)[0], straight[0][0])
    in_order.close()
    other.close()


def test_streamed_equals_resident(dataset: PreparedDataset) -> None:
    streamed, resident = (RealBatches(dataset, 6, seed=3, flip=True, resident=r) for r in ("never", "always"))
    assert resident.is_resident
    assert not streamed.is_resident
    for update in (0, 1, 2, 7, 3, 2000):
        for ours, theirs in zip(streamed.at(update), resident.at(update), strict=True):
            assert torch.equal(ours, theirs)
    streamed.close()


@pytest.mark.parametrize("world_size", [2, 3, 6])
def test_the_ranks_together_see_the_batch_of_one_process(dataset: PreparedDataset, world_size: int) -> None:
    whole_images, whole_labels = RealBatches(dataset, 12, seed=1, flip=True).at(7)
    ranks = range(world_size)
    shares = [RealBatches(dataset, 12, seed=1, flip=True, rank=r, world_size=world_size).at(7) for r in ranks]
    assert torch.equal(torch.cat([images for images, _ in shares]), whole_images)
    assert torch.equal(torch.cat([labels for _, labels in shares]), whole_labels)


def test_dequantisation_is_uniform_within_one_level(dataset: PreparedDataset) -> None:
    levels, noise = [], []
    batches = RealBatches(dataset, COUNT, seed=1)
    for update in range(20):
        images, _ = batches.at(update)
        level = ((images.double() + 1) * 128).clamp(max=255.999)
        levels.append(level.floor())
        noise.append(level - level.floor())
        assert images.dtype == torch.float32
        assert images.min() >= -1
        assert images.max() <= 1
        assert images.is_contiguous(memory_format=torch.channels_last)
    indices = batches._order.indices(0, COUNT)
    expected = torch.from_numpy(dataset.images[indices.numpy()]).permute(0, 3, 1, 2).double()
    assert torch.equal(levels[0], expected)
    u = torch.stack(noise)  # 88,320 draws: the mean's standard error is 0.001, the tails' 0.0003
    assert abs(u.mean() - 0.5) < 0.006
    assert abs((u < 0.01).double().mean() - 0.01) < 0.002
    assert abs((u > 0.99).double().mean() - 0.01) < 0.002
    assert not torch.equal(noise[0], noise[1])


@pytest.mark.parametrize("resident", ["always", "never"])
def test_without_noise_the_levels_are_stretched(dataset: PreparedDataset, resident: str) -> None:
    """As Chainer's `get_cifar10(scale=1.0) * 2 - 1`: 0 becomes -1, 255 becomes 1, whatever the update."""
    batches = RealBatches(dataset, COUNT, seed=1, dequantise=False, resident=resident, held_out=0.2)
    indices = batches._order.indices(0, COUNT)
    shown = dataset.images[indices.numpy()].transpose(0, 3, 1, 2).astype(np.float64) / 255 * 2 - 1
    images, labels = batches.at(0)
    assert images.dtype == torch.float32
    assert images.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(images.numpy(), shown, rtol=0, atol=2e-7)  # two roundings of numbers up to 2
    assert labels.tolist() == dataset.labels[indices.numpy()].tolist()
    assert (float(images.min()), float(images.max())) == (-1, 1)
    kept, unseen = batches.held_out(2)[0], dataset.images[batches._held_out[:2].numpy()]
    np.testing.assert_allclose(kept.numpy(), unseen.transpose(0, 3, 1, 2) / 255 * 2 - 1, rtol=0, atol=2e-7)
    batches.close()


def test_flip_mirrors_about_half_and_is_off_by_default(dataset: PreparedDataset) -> None:
    plain, flipped = RealBatches(dataset, COUNT, seed=1), RealBatches(dataset, COUNT, seed=1, flip=True)
    mirrored = 0
    for update in range(20):
        for before, after in zip(*((b.at(update)[0] * 128).floor() for b in (plain, flipped)), strict=True):
            assert torch.equal(after, before) or torch.equal(after, before.flip(2))
            mirrored += int(not torch.equal(after, before))
    assert 180 <= mirrored <= 280  # 460 draws of 1/2: 230 with standard deviation 10.7


def test_order_is_a_permutation_at_any_position() -> None:
    order = ShuffledOrder(torch.arange(1000), seed=3)
    assert sorted(order.indices(7_000_000, 7_001_000).tolist()) == list(range(1000))
    pieces = [order.indices(999, 1000), order.indices(1000, 1001)]
    assert torch.equal(order.indices(999, 1001), torch.cat(pieces))


@pytest.mark.parametrize(
    ("batch_total", "options", "message"),
    [
        (0, {}, "batch_total is 0; allowed is a positive multiple of 1"),
        (5, {"world_size": 2}, "batch_total is 5; allowed is a positive multiple of 2"),
        (4, {"world_size": 2, "rank": 2}, "rank is 2; allowed is 0 to 1"),
        (4, {"resident": "maybe"}, "resident is 'maybe'; allowed are auto, always, never"),
        (4, {"balance": "all"}, "balance is 'all'; allowed are none, classes"),
        (4, {"held_out": 0.6}, "held_out is 0.6; allowed is 0 to 0.5"),
    ],
)
def test_arguments_out_of_range_are_named(
    dataset: PreparedDataset, batch_total: int, options: dict, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        RealBatches(dataset, batch_total, seed=1, **options)
