"""Seeds as a function of names."""

import pytest
import torch

from sngan_cond.randomness import rng_for, seed_for
from tests.refusals import refused


def test_seeds_are_fixed_for_ever() -> None:
    """A run that was killed under one release must go on under the next: these numbers may not change."""
    assert seed_for(0) == 6_197_007_067_532_723_406
    assert seed_for(3, "latent", 17, 2) == 4_758_009_436_442_715_754


def test_every_part_matters() -> None:
    names = [(), (0,), ("0",), (0, 0), (0, "a"), ("a", 0), (1, "a"), ("a", "b"), ("ab",), (-1,), (2**70,)]
    seeds = {seed_for(*name) for name in names}
    assert len(seeds) == len(names)
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize("part", [0.5, None, True, (1,)])
def test_other_types_are_refused(part: object) -> None:
    refused(lambda: seed_for(part), "allowed are int and str", by=TypeError)


def test_generators() -> None:
    draws = [torch.rand(3, generator=rng_for(1, "z", step)) for step in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
