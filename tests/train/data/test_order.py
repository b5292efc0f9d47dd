"""Balanced epochs and held-out images: what is shown how often, from any position, and what is never shown."""

import numpy as np
import pytest
import torch

from tests.train.data.test_feed import dataset as dataset
from tests.train.data.test_feed import seen
from train.data.dataset import PreparedDataset
from train.data.feed import RealBatches
from train.data.order import BalancedOrder, hold_out

IMAGES = {0: [3, 4, 5, 6, 7, 8, 9, 14, 21], 2: [0, 11], 5: [30], 6: [40, 41, 42, 43]}  # no class 1, 3 or 4
ROUNDS = 90  # 22 epochs of the order: 16 images of four classes make one of four rounds


def balanced(seed: int = 1) -> BalancedOrder:
    images, labels = zip(*sorted((i, label) for label, own in IMAGES.items() for i in own), strict=True)
    return BalancedOrder(torch.tensor(images), torch.tensor(labels), seed=seed)


def dealt(order: list[int], count: int) -> list[tuple[int, ...]]:
    """All whole groups of so many, in order."""
    return [tuple(order[i : i + count]) for i in range(0, len(order) - count + 1, count)]


def test_balanced_rounds_show_every_class_once_and_all_its_images_in_turn() -> None:
    order = balanced().indices(0, 4 * ROUNDS).tolist()
    of = {i: label for label, own in IMAGES.items() for i in own}
    rounds = [tuple(of[i] for i in four) for four in dealt(order, 4)]
    assert {tuple(sorted(four)) for four in rounds} == {(0, 2, 5, 6)}
    assert len(set(rounds)) >= 20  # of 24 orders; 90 draws miss half of one on average
    for label, own in IMAGES.items():
        shown = [i for i in order if of[i] == label]
        passes = dealt(shown, len(own))
        assert {tuple(sorted(images)) for images in passes} == {tuple(own)}
        assert len(set(passes)) > len(passes) // 3 or len(own) < 3, label  # class 6 has 24 orders for 22 passes


def test_a_balanced_order_depends_on_seed_and_position_alone() -> None:
    straight, jumping = balanced().indices(0, 360), balanced()
    for start, stop in ((300, 317), (0, 1), (15, 17), (0, 360)):
        assert torch.equal(jumping.indices(start, stop), straight[start:stop])
    assert not torch.equal(balanced(2).indices(0, 360), straight)


def test_balanced_batches_are_those_of_one_process_and_streamed_alike(dataset: PreparedDataset) -> None:
    dataset.labels[:] = np.arange(23) >= 20  # 20 images and 3
    whole = RealBatches(dataset, 12, seed=1, balance="classes").at(3)
    for rank, resident in enumerate(("always", "never")):
        part = RealBatches(dataset, 12, seed=1, balance="classes", rank=rank, world_size=2, resident=resident)
        assert all(torch.equal(ours, all.chunk(2)[rank]) for ours, all in zip(part.at(3), whole, strict=True))
        part.close()
    assert whole[1].sum() == 6
    assert [int(i >= 20) for i in seen(whole[0])] == whole[1].tolist()


@pytest.mark.parametrize(("sizes", "kept_out"), [((50, 7, 2, 1), (10, 1, 1, 0)), ((9,), (2,)), ((3, 1), (1, 0))])
def test_a_fraction_of_each_class_is_held_out(sizes: tuple[int, ...], kept_out: tuple[int, ...]) -> None:
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes)).flip(0)
    train, held_out = hold_out(labels, 0.2, seed=1)
    assert sorted([*train.tolist(), *held_out.tolist()]) == list(range(sum(sizes)))
    assert torch.bincount(labels[held_out], minlength=len(sizes)).tolist() == list(kept_out)
    assert torch.equal(hold_out(labels, 0.2, seed=1)[1], held_out)


def test_half_of_a_class_at_most_is_held_out_and_another_seed_takes_others() -> None:
    labels = torch.zeros(400, dtype=torch.int64)
    (train, first), (_, second) = hold_out(labels, 0.5, seed=1), hold_out(labels, 0.5, seed=2)
    assert len(first) == len(train) == 200
    common = len({*first.tolist()} & {*second.tolist()})
    assert 70 <= common <= 130  # hypergeometric: 100 with standard deviation 5
    assert first.tolist() != sorted(first.tolist())


@pytest.mark.parametrize("balance", ["none", "classes"])
@pytest.mark.parametrize("resident", ["always", "never"])
def test_held_out_images_are_in_no_batch_and_all_others_are(
    dataset: PreparedDataset, balance: str, resident: str
) -> None:
    batches = RealBatches(dataset, 10, seed=1, held_out=0.3, balance=balance, resident=resident)
    shown = {i for update in range(6) for i in seen(batches.at(update)[0])}
    images, labels = batches.held_out(100)
    assert batches.num_held_out == len(images) == 6  # 2 of each class of 8, 8 and 7
    assert (images.dtype, images.shape[1:]) == (torch.float32, (3, 8, 8))
    held_out = seen(images)
    assert shown | set(held_out) == set(range(23))
    assert not shown & set(held_out)
    assert labels.tolist() == [i % 3 for i in held_out]
    level = (images.double() + 1) * 128 - torch.from_numpy(dataset.images[held_out]).permute(0, 3, 1, 2)
    assert level.min() >= 0
    assert level.max() <= 1
    assert 0.45 < level.mean() < 0.55  # 1,152 draws: 0.5 with standard error 0.009
    assert all(torch.equal(*pair) for pair in zip((images, labels), batches.held_out(6), strict=True))
    assert torch.equal(batches.held_out(4)[1], labels[:4])
    batches.close()


def test_nothing_is_held_out_by_default(dataset: PreparedDataset) -> None:
    batches = RealBatches(dataset, 10, seed=1)
    assert batches.num_held_out == 0
    assert [len(t) for t in batches.held_out(3)] == [0, 0]
