"""What surrounds a CUDA graph, with one that is played on the CPU: it reads inputs and writes outputs in place."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from train.trainer.cuda_graphs import WARM_UP_UPDATES, Batches, GraphedUpdate


class FakeUpdate:
    """An update that counts its calls; under capture it only hands out where its results will be."""

    def __init__(self) -> None:
        self.eager: list[float] = []
        self.captured: tuple[Batches, dict[str, Tensor]] | None = None
        self.capturing = self.refuses = False
        self.zeroed = 0

    def zero_grad(self) -> None:
        self.zeroed += 1

    def update(self, batches: Batches, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        if self.capturing and self.refuses:
            raise RuntimeError("operation not permitted when stream is capturing")
        if self.capturing:
            self.captured = batches, {"loss": torch.zeros(())}
            return self.captured[1]
        loss = self.loss(batches)
        self.eager.append(float(loss))
        return {"loss": loss}

    def loss(self, batches: Batches) -> Tensor:
        return torch.stack([z.sum() if y is None else z.sum() + 100 * y.sum() for z, y in batches]).sum()

    def replay(self) -> None:
        assert self.captured is not None
        batches, outputs = self.captured
        outputs["loss"].copy_(self.loss(batches))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeUpdate:
    fake = FakeUpdate()

    @contextmanager
    def capture(*_: Any, **__: Any) -> Iterator[None]:
        fake.capturing = True
        try:
            yield
        finally:
            fake.capturing = False

    stream = SimpleNamespace(wait_stream=lambda _: None)
    for name, value in {
        "Stream": lambda: stream,
        "current_stream": lambda: stream,
        "stream": lambda _: nullcontext(),
        "synchronize": lambda: None,
        "CUDAGraph": lambda: SimpleNamespace(replay=fake.replay),
        "graph": capture,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    return fake


def batch(value: float, n: int = 2) -> Batches:
    return [(torch.full((n,), value), torch.full((n,), value)), (torch.full((n,), 2 * value), None)]


def test_updates_are_eager_then_recorded_then_replayed_with_new_inputs(fake: FakeUpdate) -> None:
    step = GraphedUpdate(fake.update, pool=None, zero_grad=fake.zero_grad)
    for i in range(WARM_UP_UPDATES):
        assert float(step(batch(i))["loss"]) == 206 * i
    assert fake.eager == [206.0 * i for i in range(WARM_UP_UPDATES)]
    assert fake.captured is None
    fourth, fifth = step(batch(7.0)), step(batch(0.5))
    assert (float(fourth["loss"]), float(fifth["loss"])) == (206 * 7, 103)  # the fifth did not write over the fourth
    assert len(fake.eager) == WARM_UP_UPDATES
    assert fake.zeroed == 1
    assert float(step(batch(1.0, n=3))["loss"]) == 309  # another shape: eager
    assert len(fake.eager) == WARM_UP_UPDATES + 1
    assert float(step(batch(2.0))["loss"]) == 412
    assert step.failure is None


def test_what_cannot_be_recorded_stays_eager_and_says_why(fake: FakeUpdate) -> None:
    fake.refuses = True
    step = GraphedUpdate(fake.update, pool=None, zero_grad=fake.zero_grad)
    losses = [float(step(batch(i))["loss"]) for i in range(6)]
    assert losses == [206.0 * i for i in range(6)] == fake.eager
    assert step.failure == "operation not permitted when stream is capturing"
    assert fake.zeroed == 2  # before the recording, and after it for what lies in the graph's memory
