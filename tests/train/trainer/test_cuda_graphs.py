"""Updates as graphs, played on the CPU: to the bit what eager ones do, for one process and for several."""

from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from sngan_cond import (
    ConstraintConfig,
    Discriminator,
    DiscriminatorConfig,
    Generator,
    GeneratorConfig,
    LossConfig,
    build_constraint,
)
from sngan_cond.augmentation import NUMBERS
from sngan_cond.config import AugmentConfig
from sngan_cond.objectives import DiscriminatorBatch, GeneratorBatch
from tests.refusals import refused
from tests.train.trainer.played_graphs import REFUSED, PlayedCuda
from train.errors import TrainError
from train.sections import SpeedConfig
from train.trainer import update
from train.trainer.cuda_graphs import WARM_UP_UPDATES
from train.trainer.gradients import Gradients
from train.trainer.speed import SpeedPlan
from train.trainer.update import Updates

STEPS = WARM_UP_UPDATES + 3


def planned(*, capture: bool, **plan: bool) -> SpeedPlan:
    off = {"compile_g": False, "compile_d": False, "batched_sn": False, "one_call": False}
    return SpeedPlan(**{**off, "capture_g": capture, "capture_d": capture, **plan}, notes=())


# Strength and averages that move at every update, for as many images as it has, and their scores through the exchange.
STATEFUL = {
    "loss": LossConfig(kind="non_saturating", lecam=0.5, lecam_decay=0.6),
    "augment": AugmentConfig(
        policy=("color", "translation", "cutout"), adaptive=True, target=-0.9, adaptation_images=50
    ),
}


def build(
    monkeypatch: pytest.MonkeyPatch,
    plan: SpeedPlan,
    constraint: dict[str, Any],
    *,
    loss: LossConfig | None = None,
    augment: AugmentConfig | None = None,
) -> Updates:
    """In float64, which no kernel computes that a tape does not see."""
    torch.manual_seed(0)
    shape = {"resolution": 32, "num_classes": 5}
    G = Generator(GeneratorConfig(channels=3, latent_dim=6, **shape)).double()
    D = Discriminator(DiscriminatorConfig(channels=4, **shape))
    built = build_constraint(ConstraintConfig(**constraint))
    built.attach(D)
    D.double().to(memory_format=torch.channels_last)
    monkeypatch.setattr(update, "plan_speed", lambda *_, **__: plan)
    opt_g, opt_d = (torch.optim.Adam(n.parameters(), lr=2e-4, betas=(0.0, 0.9), fused=True) for n in (G, D))
    return Updates(
        Accelerator(cpu=True),
        G=G,
        D=D,
        opt_g=opt_g,
        opt_d=opt_d,
        constraint=built,
        loss=loss or LossConfig(),
        augment=augment,
        speed=SpeedConfig(),
    )


def state(updates: Updates) -> list[Tensor]:
    moments = [t for o in (updates.opt_g, updates.opt_d) for kept in o.state.values() for t in kept.values()]
    networks = [t for n in (updates.G, updates.D) for t in n.state_dict().values()]
    return [*networks, *moments, *updates._first_nonfinite.values(), *updates.objective_state.values()]


def run(updates: Updates, *, accumulate: int = 1) -> list[float]:
    """Train with rates that a float32 tensor holds exactly and that change; the last step but one is half as large."""
    numbers, losses = torch.Generator().manual_seed(1), []
    for step in range(STEPS):
        updates.start_step(step, lr_g=2.0 ** -(10 + step), lr_d=2.0 ** -(9 + step))
        n = 2 if step == STEPS - 2 else 4
        z, y = torch.randn(2 * n, 6, generator=numbers).double(), torch.randint(5, (2 * n,), generator=numbers)
        u = torch.rand(2 * n, NUMBERS, generator=numbers)
        parts = (t.chunk(accumulate) for t in (z, y, u))
        losses.append(updates.step_g([GeneratorBatch(*part) for part in zip(*parts, strict=True)]))
        for _ in range(2):
            real = torch.rand(n, 3, 32, 32, generator=numbers).double() * 2 - 1
            parts = (t.chunk(accumulate) for t in (real, y[:n], z[n:], y[n:], u[:n], u[n:]))
            losses.append(updates.step_d([DiscriminatorBatch(*part) for part in zip(*parts, strict=True)]))
    return [value.item() for parts in losses for value in parts.values()]  # read at the end: none is written over


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """As if two processes had the same batch, and an exchange were played by hand; gives the exchanges."""
    exchanges: list[int] = []

    def all_reduce(flat: Tensor) -> None:
        exchanges.append(flat.numel())
        flat.mul_(2)

    monkeypatch.setattr(Accelerator, "num_processes", 2)
    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    return exchanges


@pytest.mark.parametrize(
    ("constraint", "plan", "accumulate", "objective"),
    [
        ({}, {}, 1, {}),
        ({}, {"batched_sn": True}, 2, {}),
        ({"power_iterations_at": "update"}, {"one_call": True}, 1, STATEFUL),
        ({"kind": "none"}, {}, 2, {"loss": LossConfig(kind="began", diversity=0, balance_rate=0.1)}),
    ],
)
def test_replays_are_to_the_bit_what_eager_updates_are(
    constraint: dict[str, Any],
    plan: dict[str, bool],
    accumulate: int,
    objective: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    several: list[int],
) -> None:
    eager = build(monkeypatch, planned(capture=False, **plan), constraint, **objective)
    before = {name: float(value) for name, value in eager.objective_state.items()}
    expected = run(eager, accumulate=accumulate)
    assert all(float(value) != before[name] for name, value in eager.objective_state.items())
    assert len(several) == 3 * STEPS  # each update communicates once, however many micro-batches it has
    several.clear()
    played = PlayedCuda(lambda: state(graphed))
    played.install(monkeypatch)
    graphed = build(monkeypatch, planned(capture=True, **plan), constraint, **objective)
    assert run(graphed, accumulate=accumulate) == expected
    assert played.recorded == 4  # two graphs a network, once
    assert played.stream.name == "default"
    assert len(several) == 3 * STEPS  # none is on a tape
    for found, value in zip(state(graphed), state(eager), strict=True):
        assert torch.equal(found, value)


def test_what_cannot_be_recorded_ends_the_run_with_its_first_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host reads the count of clippings; ending the recording that this broke raises a second error."""
    played = PlayedCuda(list)
    played.install(monkeypatch)
    updates = build(monkeypatch, planned(capture=True), {"kind": "none", "singular_clip_every": 2})
    message = refused(lambda: run(updates), f"capture of D: {REFUSED}; the run stops.", by=TrainError)
    assert message.endswith("--set speed.capture=false goes on without CUDA graphs")
    assert played.stream.name == "default"


def test_one_process_exchanges_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda _: pytest.fail("called"))
    Gradients(torch.nn.Linear(2, 1)).all_reduce()
