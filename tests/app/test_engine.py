"""Requests of several visitors on one device: equal shares of every batch, and whose error it is."""

import contextvars
import gc
import threading
import time

import pytest
import torch

from app.engine import Engine
from app.turns import Visitor
from tests.app.asking import LONGEST_S, Asking, Gate
from tests.app.models import tiny_generator


@pytest.mark.parametrize("of_another_model", [False, True])
def test_a_short_request_does_not_wait_for_a_long_one(of_another_model: bool) -> None:
    engine, G = Engine(), tiny_generator()
    gate = Gate(G)
    long = Asking(engine, G, 1200)
    assert gate.held.wait(LONGEST_S)
    short = Asking(engine, tiny_generator(1) if of_another_model else G, 1, Visitor("10.0.0.2", "you"))
    gate.open.set()
    assert short.count() == 1
    assert long.job.taken < 1200
    assert long.count() == 1200


def test_a_robot_gets_no_more_of_a_batch_than_a_person() -> None:
    """First between addresses, then between sessions, then between requests; batches of this network hold 64."""
    engine, G = Engine(), tiny_generator()
    gate = Gate(G)
    first = Asking(engine, G, 1)
    assert gate.held.wait(LONGEST_S)
    robot = [Asking(engine, G, 40, Visitor("robot", "only")) for _ in range(12)]
    shared = [Asking(engine, G, 40, Visitor("proxy", f"tab {i}")) for i in (1, 1, 2)]
    gate.open.set()
    iterators = [asking.images() for asking in (*shared, *robot)]
    for images in iterators[:3]:
        next(images)
    for images in iterators:
        sum(map(len, images))
    assert first.count() == 1
    assert [asking.sizes[0] for asking in shared] == [8, 8, 16]  # half the batch is theirs
    assert {asking.sizes[0] for asking in robot} <= {2, 3}


def test_whoever_was_served_longest_ago_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.engine.max_batch_size", lambda _: 2)
    engine, G = Engine(), tiny_generator()
    gate = Gate(G)
    marks: list[list[float]] = []
    G.register_forward_hook(lambda _, inputs, __: marks.append(inputs[0][:2, 0].tolist()))
    robot = Asking(engine, G, 6, Visitor("robot", "only"), z=torch.full((6, 8), 9.0))
    assert gate.held.wait(LONGEST_S)
    persons = [Asking(engine, G, 1, Visitor(f"person {i}", ""), z=torch.full((1, 8), float(i))) for i in range(3)]
    gate.open.set()
    assert [asking.count() for asking in (*persons, robot)] == [1, 1, 1, 6]
    assert marks[:4] == [[9, 9], [0, 1], [2, 9], [9, 9]]


def test_a_request_that_has_ended_takes_no_part_in_batches() -> None:
    engine, G = Engine(), tiny_generator()
    gate = Gate(G)
    first = Asking(engine, G, 1)
    assert gate.held.wait(LONGEST_S)
    gone = Asking(engine, G, 64)
    engine.end(gone.job)
    gate.open.set()
    assert first.count() == Asking(engine, G, 1).count() == 1
    assert gone.job.taken == 0
    assert engine.batches == 2


def test_an_error_in_the_network_reaches_the_one_who_asked() -> None:
    engine, G = Engine(), tiny_generator()
    with pytest.raises(ValueError, match="z of shape"):
        Asking(engine, G, 2, width=9).count()
    assert Asking(engine, G, 2).count() == 2


def test_an_error_reaches_only_those_in_the_failing_batch() -> None:
    engine = Engine()
    good, bad = tiny_generator(), tiny_generator()
    gate = Gate(good)
    held = Asking(engine, good, 1)
    assert gate.held.wait(LONGEST_S)
    failing = [Asking(engine, bad, 12, width=9) for _ in range(2)]
    others = [Asking(engine, good, 12) for _ in range(3)]
    gate.open.set()
    assert [asking.count() for asking in (held, *others)] == [1, 12, 12, 12]
    for asking in failing:
        with pytest.raises(ValueError, match="z of shape"):
            asking.count()


def test_a_batch_runs_in_the_context_of_a_request() -> None:
    """There `spaces` finds the visitor whose quota a borrowed GPU counts against."""
    whose: contextvars.ContextVar[str] = contextvars.ContextVar("whose", default="nobody")
    engine, G, seen = Engine(), tiny_generator(), []
    G.register_forward_hook(lambda *_: seen.append((whose.get(), threading.current_thread().name)))
    for name in ("me", "you"):
        whose.set(name)
        assert Asking(engine, G, 1).count() == 1
    assert seen == [("me", "engine_0"), ("you", "engine_0")]


def test_it_is_measured_how_long_images_take() -> None:
    """From the second batch on, and no longer than the model is open; a batch that is not full costs as much."""
    engine, G = Engine(), tiny_generator()
    hook = G.register_forward_hook(lambda *_: time.sleep(0.2))
    Asking(engine, G, 1).count()
    assert engine.seconds(G, 1) is None
    Asking(engine, G, 1).count()
    of_one = engine.seconds(G, 1)
    assert of_one is not None
    assert 0.2 <= of_one < 5
    assert (engine.seconds(G, 64), engine.seconds(G, 65)) == (of_one, 2 * of_one)
    hook.remove()
    del G
    gc.collect()
    assert not engine._seconds
