"""Requests of several visitors on one device: turns, and whose error it is."""

import threading

import pytest
import torch

from app.engine import Engine
from sngan_cond import Generator
from tests.app.models import tiny_generator


@pytest.mark.parametrize("of_another_model", [False, True])
def test_a_short_request_does_not_wait_for_a_long_one(of_another_model: bool) -> None:
    G = tiny_generator()
    other = tiny_generator(1) if of_another_model else G
    engine = Engine()
    order: list[str] = []
    started = threading.Event()

    def make(name: str, G: Generator, count: int) -> None:
        y = torch.zeros(count, dtype=torch.int64)
        for _ in engine.run(G, torch.zeros(count, 8), y, threading.Event()):
            started.set()
        order.append(name)

    long = threading.Thread(target=make, args=("long", G, 1200))
    long.start()
    assert started.wait(20)
    make("short", other, 1)
    assert order == ["short"]
    long.join()


def test_an_error_in_the_network_reaches_the_one_who_asked() -> None:
    engine = Engine()
    G = tiny_generator()
    with pytest.raises(ValueError, match="z of shape"):
        list(engine.run(G, torch.zeros(2, 9), torch.zeros(2, dtype=torch.int64), threading.Event()))
    assert len(torch.cat(list(engine.run(G, torch.zeros(2, 8), torch.zeros(2).long(), threading.Event())))) == 2


def test_an_error_reaches_only_those_in_the_failing_batch() -> None:
    """Whoever has the turn computes for all, and must not get an error of inputs that are not theirs."""
    engine = Engine()
    good, bad = tiny_generator(), tiny_generator()
    ended: dict[str, object] = {}

    def make(name: str, G: Generator, width: int) -> None:
        try:
            images = engine.run(G, torch.zeros(12, width), torch.zeros(12).long(), threading.Event())
            ended[name] = len(torch.cat(list(images)))
        except ValueError as error:
            ended[name] = str(error)

    for _ in range(5):
        ended.clear()
        threads = [threading.Thread(target=make, args=(f"bad {i}", bad, 9)) for i in range(2)]
        threads += [threading.Thread(target=make, args=(f"good {i}", good, 8)) for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        assert [ended[f"good {i}"] for i in range(3)] == [12, 12, 12]
        assert all("z of shape" in str(ended[f"bad {i}"]) for i in range(2))
