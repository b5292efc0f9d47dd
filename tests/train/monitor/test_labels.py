"""Whether labels say anything about images: the ratio of variances by hand, and labels that part images or do not."""

import pytest
import torch
from torch import Tensor

from train.monitor.labels import chance_of_labels, variance_ratio

LABELS = torch.arange(3).repeat_interleave(torch.tensor([50, 40, 30]))


def noise(seed: int = 0) -> Tensor:
    return 0.5 * torch.randn(len(LABELS), 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def shuffled() -> Tensor:
    return LABELS[torch.randperm(len(LABELS), generator=torch.Generator().manual_seed(4))]


def chance(images: Tensor, labels: Tensor) -> float:
    return chance_of_labels(images, labels, num_classes=3, rng=torch.Generator().manual_seed(2))


def test_the_ratio_is_that_of_an_analysis_of_variance() -> None:
    features = torch.randn(9, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    labels = [0, 2, 2, 0, 3, 2, 3, 0, 2]  # nobody is of class 1
    between = within = 0.0
    for column in features.T.tolist():
        mean = sum(column) / 9
        for label in (0, 2, 3):
            own = [value for value, other in zip(column, labels, strict=True) if other == label]
            centre = sum(own) / len(own)
            between += len(own) * (centre - mean) ** 2
            within += sum((value - centre) ** 2 for value in own)
    found = float(variance_ratio(features, torch.tensor(labels), 4))
    assert found == pytest.approx((between / 2) / (within / 6), rel=1e-12)


def test_labels_that_part_colours_do_so_by_no_chance() -> None:
    images = noise() + 0.3 * LABELS[:, None, None, None] * torch.tensor([1.0, 0, -0.5])[None, :, None, None]
    assert chance(images, LABELS) == 0.005  # one labelling of two hundred, the given one
    assert chance(images, shuffled()) > 0.01


def test_labels_that_part_textures_alone_do_so_too() -> None:
    stripes = torch.tensor([1.0, -1.0]).repeat(8)[None, None, None]
    images = noise() + 0.5 * LABELS[:, None, None, None] * stripes  # no place of the mean colours moves
    assert chance(images, LABELS) == 0.005
    assert chance(images, shuffled()) > 0.01
