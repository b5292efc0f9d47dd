"""BEGAN, EBGAN, LeCam and an adaptive strength by hand, and the state they carry between updates."""

import pytest
import torch
from torch import Tensor, nn

from sngan_cond import Constraint, DiscriminatorOutput, LossConfig
from sngan_cond.config import AugmentConfig
from sngan_cond.objectives import (
    DiscriminatorBatch,
    discriminator_objective,
    generator_objective,
    initial_objective_state,
    next_objective_state,
    shared_parts,
)

REAL, FAKE = torch.tensor([-0.3, -0.5]), torch.tensor([-0.2, -1.4])  # scores: minus reconstruction errors


class GivenScores(nn.Module):
    """Scores real images (ones) and fakes (zeros) with the numbers above."""

    def forward(self, x: Tensor, y: Tensor | None = None) -> DiscriminatorOutput:
        return DiscriminatorOutput(REAL if x.flatten()[0] == 1 else FAKE)


class Zeros(nn.Module):
    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return torch.zeros(len(z), 3, 2, 2)


def d_objective(loss: LossConfig, state: dict[str, Tensor] | None) -> tuple[float, dict[str, Tensor]]:
    batch = DiscriminatorBatch(torch.ones(2, 3, 2, 2), None, torch.zeros(2, 1), None)
    objective = discriminator_objective(
        GivenScores(), Zeros(), batch, loss=loss, constraint=Constraint(), rng=None, state=state
    )
    return float(objective.total), objective.parts


def test_began() -> None:
    loss = LossConfig(kind="began", diversity=0.75, balance_rate=0.1)
    assert initial_objective_state(loss) == {"balance": torch.tensor(0.0)}
    total, parts = d_objective(loss, None)
    assert total == pytest.approx(0.4)  # k starts at 0: the real error alone
    state = {"balance": torch.tensor(0.5)}
    total, parts = d_objective(loss, state)
    assert total == pytest.approx(0.4 - 0.5 * 0.8)
    moved = next_objective_state(state, parts, loss=loss)
    assert float(moved["balance"]) == pytest.approx(0.5 + 0.1 * (0.75 * 0.4 - 0.8))
    assert float(state["balance"]) == 0.5  # not changed in place
    g_total = generator_objective(GivenScores(), Zeros(), torch.zeros(2, 1), None, loss=loss).total
    assert float(g_total) == pytest.approx(0.8)


@pytest.mark.parametrize(("k", "rate"), [(0.01, 1.0), (0.99, 1000.0)])
def test_balance_stays_in_its_range(k: float, rate: float) -> None:
    def moved(error_real: float, error_fake: float, rate: float) -> float:
        parts = {"score_real": torch.tensor(-error_real), "score_fake": torch.tensor(-error_fake)}
        loss = LossConfig(kind="began", diversity=0.75, balance_rate=rate)
        return float(next_objective_state({"balance": torch.tensor(k)}, parts, loss=loss)["balance"])

    assert moved(0.4, 0.8, rate) == 0
    assert moved(0.8, 0.1, 10.0) == 1


def test_ebgan() -> None:
    loss = LossConfig(kind="ebgan", margin=1.25)
    total, parts = d_objective(loss, None)
    assert total == pytest.approx(0.4 + ((1.25 - 0.2) + 0) / 2)  # the second fake lies beyond the margin
    state = initial_objective_state(loss)
    assert {name: float(value) for name, value in state.items()} == {"margin": 1.25}
    assert next_objective_state(state, parts, loss=loss) == state
    g_total = generator_objective(GivenScores(), Zeros(), torch.zeros(2, 1), None, loss=loss).total
    assert float(g_total) == pytest.approx(0.8)


@pytest.mark.parametrize("kind", ["hinge", "non_saturating", "minimax", "wasserstein"])
def test_other_losses_have_no_state(kind: str) -> None:
    loss = LossConfig(kind=kind)
    assert initial_objective_state(loss) == {}
    _, parts = d_objective(loss, {})
    assert next_objective_state({}, parts, loss=loss) == {}
    assert shared_parts(loss) == ()


def test_lecam() -> None:
    """Tseng et al. 2021, section 3: both averages come from 0, and only scores beyond the other's average count."""
    loss = LossConfig(kind="wasserstein", lecam=0.3, lecam_decay=0.8)
    state, average_real, average_fake = initial_objective_state(loss), 0.0, 0.0
    assert shared_parts(loss) == ("score_real", "score_fake")
    for _ in range(3):
        total, parts = d_objective(loss, state)
        penalty = sum(max(0, float(score) - average_fake) ** 2 for score in REAL) / 2
        penalty += sum(max(0, average_real - float(score)) ** 2 for score in FAKE) / 2
        assert float(parts["lecam"]) == pytest.approx(penalty, rel=1e-6)
        assert total == pytest.approx(-0.8 + 0.4 + 0.3 * penalty, rel=1e-6)
        state = next_objective_state(state, parts, loss=loss)
        average_real, average_fake = 0.8 * average_real - 0.2 * 0.4, 0.8 * average_fake - 0.2 * 0.8
        assert {name: float(value) for name, value in state.items()} == pytest.approx(
            {"average_real": average_real, "average_fake": average_fake}, rel=1e-6
        )
    assert penalty > 0.4


def test_an_adaptive_strength() -> None:
    """Karras et al. 2020, section 3: a fixed amount for each image, by the sign of the real scores' mean sign."""
    augment = AugmentConfig(policy=("color",), adaptive=True, target=0.25, adaptation_images=40)
    assert shared_parts(LossConfig(), augment) == ("sign_real",)
    state, strengths = initial_objective_state(LossConfig(), augment), []
    for certain in (0.0, 0.5, 1.0, 0.3, 0.25, 0.2, 1.0, 1.0, -1.0):
        parts = {"sign_real": torch.tensor(certain)}
        state = next_objective_state(state, parts, loss=LossConfig(), augment=augment, images=14)
        strengths.append(float(state["strength"]))
    assert strengths == pytest.approx([0, 0.35, 0.7, 1, 1, 0.65, 1, 1, 0.65], rel=1e-6)  # clipped at both ends
    fixed = AugmentConfig(policy=("color",), strength=0.4)
    assert float(initial_objective_state(LossConfig(), fixed)["strength"]) == pytest.approx(0.4)
    assert shared_parts(LossConfig(), fixed) == ()
