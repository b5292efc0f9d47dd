"""Scores of neighbourhoods in feature space, computed on the device where the features are."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

DISTANCES = 1 << 26  # between features, in memory at a time: 256 MiB in float32


def precision_and_recall(fakes: Tensor, reals: Tensor, *, neighbours: int) -> tuple[float, float]:
    """Return how many fakes lie among the reals, and how many reals among the fakes.

    A point lies among others if it is no farther from one of them than that one's k-th neighbour of its own kind. As
    torch-fidelity's prc_features_to_metric, which takes all distances through the CPU; on a CPU the two agree to the
    points whose distance is a radius within rounding.

    Source: Kynkaanniemi et al. 2019, equations 1 to 3.

    Args:
        fakes: (N, D) features.
        reals: (M, D) features, on the same device.
        neighbours: k.
    Returns:
        Precision and recall, both 0 to 1.
    """
    of_fakes, of_reals = _radii(fakes, neighbours), _radii(reals, neighbours)
    rows = _rows(reals)
    precise = torch.zeros((), dtype=torch.int64, device=fakes.device)
    recalled = torch.zeros(len(reals), dtype=torch.bool, device=reals.device)
    for block, radii in zip(fakes.split(rows), of_fakes.split(rows), strict=True):
        distances = torch.cdist(block, reals)
        precise += (distances <= of_reals).any(dim=1).sum()
        recalled |= (distances <= radii[:, None]).any(dim=0)
    found = torch.stack([precise, recalled.sum()]).tolist()
    return found[0] / len(fakes), found[1] / len(reals)


def density_and_coverage(fakes: Tensor, reals: Tensor, *, neighbours: int) -> tuple[float, float]:
    """Return among how many reals a fake lies, over what is expected, and how many reals have a fake near them.

    Near a real is what is no farther than its k-th nearest other real.

    Source: Naeem et al. 2020, their definitions of both.

    Args:
        fakes: (N, D) features.
        reals: (M, D) features, on the same device.
        neighbours: k.
    Returns:
        Density, the mean number of reals that a fake is near to, divided by k: from 0, and above 1 where fakes crowd
        where reals are dense. Coverage, 0 to 1.
    """
    radii = _radii(reals, neighbours)
    near = torch.zeros((), dtype=torch.int64, device=fakes.device)
    nearest = torch.full_like(radii, math.inf)
    for block in fakes.split(_rows(reals)):
        distances = torch.cdist(block, reals)
        near += (distances <= radii).sum()
        nearest = torch.minimum(nearest, distances.amin(dim=0))
    found = torch.stack([near, (nearest <= radii).sum()]).tolist()
    return found[0] / (neighbours * len(fakes)), found[1] / len(reals)


@dataclass(frozen=True)
class Nearest:
    """The nearest reals of each fake.

    Args:
        reals: (N, k) int64, rows of the reals, the nearest first.
        distances: (N, k), to them.
        apart: (N,), from the nearest real to the real that is nearest to it.
    """

    reals: Tensor
    distances: Tensor
    apart: Tensor

    @property
    def authentic(self) -> Tensor:
        """(N,) bool: farther from its nearest real than that one is from its own.

        Source: Alaa et al. 2022; strictly farther, as in the code of Stein et al. 2023, so that a copy of an image that
        the data set has twice is a copy.
        """
        return self.distances[:, 0] > self.apart

    @property
    def ratios(self) -> Tensor:
        """(N,) distance to the nearest real over that one's to its own: 0 of a copy, at most 1 where not authentic."""
        distances = self.distances[:, 0]
        return torch.where(distances == 0, 0, distances / self.apart)


def nearest_reals(fakes: Tensor, reals: Tensor, *, count: int) -> Nearest:
    """Find the nearest reals of each fake, and how far these are from other reals.

    Args:
        fakes: (N, D) features.
        reals: (M, D) features, on the same device; M is 2 at least.
        count: k, at most M.
    """
    indices, distances = _nearest(fakes, reals, count)
    chosen, back = indices[:, 0].unique(return_inverse=True)
    _, others = _nearest(reals[chosen], reals, 1, without=chosen)
    return Nearest(indices, distances, others[back, 0])


def _nearest(points: Tensor, reals: Tensor, count: int, without: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the nearest reals (N, k) of points, and the distances to them.

    Args:
        without: (N,) a row of the reals for each point that does not count.
    """
    rows = min(_rows(reals), max(1, DISTANCES // (count * reals.shape[1])))
    found, exact = [], []
    centre = reals.mean(dim=0)  # about it, cdist, which goes by products, loses the fewest digits
    centred = reals - centre
    for start in range(0, len(points), rows):
        block = points[start : start + rows]
        distances = torch.cdist(block - centre, centred)
        if without is not None:
            distances.scatter_(1, without[start : start + rows, None], math.inf)
        indices = distances.topk(count, largest=False).indices
        # Again from the differences, for products leave nothing of the distance of near equals.
        again = (reals[indices] - block[:, None]).norm(dim=2)
        order = again.argsort(dim=1, stable=True)
        found.append(indices.gather(1, order))
        exact.append(again.gather(1, order))
    return torch.cat(found), torch.cat(exact)


def _radii(points: Tensor, neighbours: int) -> Tensor:
    """Return each point's distance to its k-th neighbour, (N,); the nearest of all is the point itself."""
    blocks = points.split(_rows(points))
    return torch.cat([torch.cdist(b, points).topk(neighbours + 1, largest=False).values[:, -1] for b in blocks])


def _rows(points: Tensor) -> int:
    """Return how many rows of distances to these points are computed at a time."""
    return max(1, DISTANCES // len(points))
