"""Whether the labels of real images say anything about them."""

import torch
import torch.nn.functional as F
from torch import Tensor

SHUFFLES = 199


def chance_of_labels(images: Tensor, labels: Tensor, *, num_classes: int, rng: torch.Generator) -> float:
    """Estimate how often labels that mean nothing would part the images as well as these do.

    A permutation test of the ratio of variances between and within classes, over all features together (Anderson 2001,
    equation 4), once of colours and once of edges at 8 x 8 places; the smaller share counts.

    Args:
        images: (N, 3, S, S), S a multiple of 8.
        labels: (N,) int64, each below num_classes.
        rng: decides the shuffles; on the CPU, wherever the labels are.
    Returns:
        A share in (0, 1], from 1 / (SHUFFLES + 1): the ratio of how many labellings, these among them, part as well.
    """
    shuffles = [labels, *(labels[torch.randperm(len(labels), generator=rng)] for _ in range(SHUFFLES))]
    shares = []
    for features in (_colours(images), _edges(images)):
        ratios = torch.stack([variance_ratio(features, each, num_classes) for each in shuffles])
        shares.append(int((ratios >= ratios[0]).sum()) / len(shuffles))
    return min(shares)


def variance_ratio(features: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Return the variance between classes over that within, each divided by its degrees of freedom.

    Args:
        features: (N, F).
        labels: (N,) int64, of fewer classes than there are images.
    Returns:
        A scalar, about 1 where labels mean nothing.
    """
    centred = features - features.mean(dim=0)
    counts = torch.bincount(labels, minlength=num_classes)
    sums = centred.new_zeros(num_classes, centred.shape[1]).index_add_(0, labels, centred)
    between = (sums.square().sum(dim=1) / counts.clamp(min=1)).sum()
    within = centred.square().sum() - between
    classes = (counts > 0).sum()
    return (between / (classes - 1)) / (within / (len(labels) - classes))


def _colours(images: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(images, 8).flatten(1)


def _edges(images: Tensor) -> Tensor:
    grey = images.mean(dim=1, keepdim=True)
    steps = grey.diff(dim=3), grey.diff(dim=2)
    return torch.cat([F.adaptive_avg_pool2d(step.abs(), 8).flatten(1) for step in steps], dim=1)
