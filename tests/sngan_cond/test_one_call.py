"""Real and fake images through D in one call: where that equals two calls, and where it does not."""

import copy
import itertools

import pytest
import torch

from sngan_cond import Constraint, Discriminator, Generator, GeneratorConfig, LossConfig
from sngan_cond.augmentation import NUMBERS
from sngan_cond.config import AugmentConfig
from sngan_cond.objectives import DiscriminatorBatch, Objective, discriminator_objective
from tests.refusals import refused
from tests.sngan_cond.constraints.helpers import constrained, discriminator, images
from tests.sngan_cond.constraints.test_compositions import CONSTRAINTS, NETWORKS

SETTINGS = {
    **CONSTRAINTS,
    "update, bidirectional": {"power_iterations_at": "update", "estimate": "bidirectional"},
    "update, operator": {"power_iterations_at": "update", "estimate": "operator"},
    "update, shared gamma": {"power_iterations_at": "update", "gamma": "shared", "gradient_penalty": 10.0},
}
TWO_CALLS = {"spectral", "bidirectional scaled", "operator", "shared gamma", "gamma a layer", "batch", "everything"}


class Counted(torch.nn.Module):
    """Passes on to a discriminator and counts its calls."""

    def __init__(self, D: Discriminator) -> None:
        super().__init__()
        self.D, self.calls = D, 0

    def forward(self, x: torch.Tensor, y: torch.Tensor | None) -> object:
        self.calls += 1
        return self.D(x, y)


def objective(
    D: Discriminator,
    constraint: Constraint,
    *,
    one_call: bool,
    fakes: int = 3,
    augment: AugmentConfig | None = None,
    numbers: torch.Tensor | None = None,
) -> tuple[int, Objective, list[torch.Tensor]]:
    """Number of calls, objective and gradients of a D update on 3 real images."""
    config = D.config
    torch.manual_seed(1)
    shared = {key: getattr(config, key) for key in ("resolution", "num_classes", "architecture")}
    G = Generator(GeneratorConfig(channels=2, latent_dim=3, **shared)).double().eval()
    x, y = images(D, 3, seed=2)
    y_fake = None if y is None else (torch.arange(fakes) + 1) % config.num_classes
    own = (None, None) if numbers is None else (numbers[:3], numbers[3:])
    batch = DiscriminatorBatch(x.double(), y, torch.randn(fakes, 3).double(), y_fake, *own)
    counted, rng = Counted(copy.deepcopy(D)), torch.Generator().manual_seed(3)
    found = discriminator_objective(
        counted,
        G,
        batch,
        loss=LossConfig(),
        constraint=constraint,
        rng=rng,
        augment=augment or AugmentConfig(),
        one_call=one_call,
    )
    calls = counted.calls - ("gradient_penalty" in constraint.parts)
    return calls, found, list(torch.autograd.grad(found.total, list(counted.parameters())))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "name"),
    [*itertools.product(NETWORKS[:2], SETTINGS), *itertools.product(NETWORKS[2:], ("update", "weight", "batch"))],
)
def test_one_call_equals_two_where_a_constraint_says_so_and_only_there(network: tuple[str, str], name: str) -> None:
    torch.manual_seed(0)
    D = discriminator(*network)
    constraint = constrained(D, **SETTINGS[name])
    D = D.double().train()
    assert constraint.one_call == (name not in TWO_CALLS)
    two, one = (objective(D, constraint, one_call=flag) for flag in (False, True))
    assert (two[0], one[0]) == (2, 1)
    pairs = [(two[1].total, one[1].total), *zip(two[2], one[2], strict=True)]
    pairs += [(value, one[1].parts[part]) for part, value in two[1].parts.items()]
    # What is 0 but for rounding, as the score's bias whose two halves cancel, has no relative error.
    pairs = [(a.detach(), b.detach()) for a, b in pairs]
    errors = [float((b - a).abs().max() / a.abs().max()) for a, b in pairs if a.abs().max() > 1e-12]
    if constraint.one_call:
        assert max(errors) < 1e-12
    else:
        assert max(errors) > 1e-10  # at least 1e-9: of "everything" most are penalties


def test_more_fakes_than_real_images_are_told_apart() -> None:
    D = discriminator("resnet", "projection").double()
    (_, two, _), (_, one, _) = (objective(D, Constraint(), one_call=flag, fakes=5) for flag in (False, True))
    for part, value in two.parts.items():
        torch.testing.assert_close(one.parts[part], value, rtol=1e-12, atol=1e-15)


def test_augmented_images_are_scored_alike_in_one_call() -> None:
    D, numbers = discriminator("resnet", "projection").double(), torch.rand(8, NUMBERS).double()
    augment = AugmentConfig(policy=("color", "translation", "cutout"), strength=0.8)
    (calls, two, _), (_, one, _) = (
        objective(D, Constraint(), one_call=flag, fakes=5, augment=augment, numbers=numbers) for flag in (False, True)
    )
    plain = objective(D, Constraint(), one_call=True, fakes=5)[1]
    assert calls == 2
    for part, value in two.parts.items():
        torch.testing.assert_close(one.parts[part], value, rtol=1e-12, atol=1e-15)
        assert not torch.isclose(plain.parts[part], value, rtol=1e-3)


def test_labels_of_one_side_alone_are_refused() -> None:
    D = discriminator("resnet", "projection")
    G = Generator(GeneratorConfig(resolution=32, num_classes=0, channels=2, latent_dim=3))
    x, y = images(D, 2)
    batch = DiscriminatorBatch(x, y, torch.randn(2, 3), None)
    refused(
        lambda: discriminator_objective(D, G, batch, loss=LossConfig(), constraint=Constraint(), one_call=True),
        "one_call: labels of real images and of fakes, or neither, are allowed",
    )


def test_of_a_constraint_that_is_not_known_nothing_is_assumed() -> None:
    class Own(Constraint):
        pass

    assert Constraint().one_call
    assert not Own().one_call
