"""BEGAN and EBGAN by hand, and the state they carry between updates."""

import pytest
import torch
from torch import Tensor, nn

from sngan_cond import Constraint, DiscriminatorOutput, LossConfig
from sngan_cond.objectives import (
    DiscriminatorBatch,
    discriminator_objective,
    generator_objective,
    initial_objective_state,
    next_objective_state,
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
