"""Labels of fakes: as frequent as the data's, in every process its part of the same draws."""

import torch

from sngan_cond import GeneratorConfig
from tests.train.trainer.reference_run import source
from train.trainer.noise import LatentSampler

CONFIG = GeneratorConfig(resolution=32, num_classes=4, latent_dim=3)
COUNTS = [600, 6, 0, 394]  # of 1,000


def sampler(rank: int = 0, world_size: int = 1) -> LatentSampler:
    return LatentSampler(CONFIG, 7, rank, world_size, torch.device("cpu"))


def test_labels_are_as_frequent_as_the_images() -> None:
    y = sampler().with_labels_like(COUNTS).fakes("d", 5, 50_000)[1]
    assert y is not None
    assert y.dtype == torch.int64
    found = torch.bincount(y, minlength=4).tolist()
    for count, expected, deviation in zip(found, (30_000, 300, 0, 19_700), (110, 17, 0, 109), strict=True):
        assert abs(count - expected) <= 5 * deviation  # binomial


def test_a_label_is_the_first_whose_share_of_the_line_holds_the_draw() -> None:
    """The line from 0 to 1 is divided in label order; what is drawn depends on seed, purpose and update."""
    purposes = [("d", 5), ("g", 5), ("d", 6)]
    drawn = [sampler().with_labels_like(COUNTS).fakes(purpose, update, 300) for purpose, update in purposes]
    ends = [0.6, 0.606, 0.606, 1.0]
    numbers = torch.rand(300, generator=source(7, "d/labels", 5)).tolist()
    assert drawn[0][1].tolist() == [min(label for label in range(4) if u < ends[label]) for u in numbers]
    assert not torch.equal(drawn[0][1], drawn[1][1])
    assert not torch.equal(drawn[0][1], drawn[2][1])
    assert torch.equal(drawn[0][0], sampler().fakes("d", 5, 300)[0])  # latents are what they are without


def test_the_ranks_together_draw_the_labels_of_one_process() -> None:
    whole = sampler().with_labels_like(COUNTS).fakes("g", 2, 12)[1]
    parts = [sampler(rank, 3).with_labels_like(COUNTS).fakes("g", 2, 12)[1] for rank in range(3)]
    assert torch.equal(torch.cat(parts), whole)
