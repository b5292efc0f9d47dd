"""The thread that writes checkpoints: what it writes, whom it keeps waiting, and how a failure is told."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from train.errors import TrainError
from train.run.writer import CheckpointWriter, Tensors

CPU = torch.device("cpu")


@pytest.fixture
def logged() -> list[str]:
    return []


@pytest.fixture
def writer(logged: list[str]) -> Iterator[CheckpointWriter]:
    with CheckpointWriter(CPU, log=logged.append) as writer:
        yield writer


def state() -> Tensors:
    """A transposed weight, as channels-last ones are, and a counter without dimensions."""
    return {"generator": {"w": torch.arange(6.0).reshape(2, 3).T}, "optimizer_g": {"w/step": torch.tensor(7)}}


def refuse(_: Tensors) -> Path:
    raise TrainError("no space")


def test_a_late_write_has_the_values_of_its_save(writer: CheckpointWriter) -> None:
    tensors, gone_on, found = state(), threading.Event(), list[Tensors]()

    def write(copies: Tensors) -> Path:
        assert gone_on.wait(60)
        found.append({file: {name: copy.clone() for name, copy in named.items()} for file, named in copies.items()})
        return Path("step-1")

    for _ in range(2):  # the second copy goes into the memory of the first
        expected = [tensors["generator"]["w"].clone(), tensors["optimizer_g"]["w/step"].clone()]
        gone_on.clear()
        writer.save(tensors, write)
        for named in tensors.values():
            for tensor in named.values():
                tensor.add_(10)
        gone_on.set()
        writer.wait()
        copies = found.pop()
        assert torch.equal(copies["generator"]["w"], expected[0])
        assert copies["generator"]["w"].is_contiguous()
        assert torch.equal(copies["optimizer_g"]["w/step"], expected[1])
        assert copies["optimizer_g"]["w/step"].dtype == torch.int64


def test_memory_is_taken_once(writer: CheckpointWriter) -> None:
    places = list[int]()

    def write(copies: Tensors) -> Path:
        places.append(copies["generator"]["w"].data_ptr())
        return Path("step-1")

    for _ in range(3):
        writer.save(state(), write)
    writer.wait()
    assert len(set(places)) == 1


def test_a_save_waits_for_the_last_write_and_training_does_not(writer: CheckpointWriter) -> None:
    events = list[str]()

    def slow(name: str) -> Callable[[Tensors], Path]:
        def write(_: Tensors) -> Path:
            time.sleep(0.1)
            events.append(f"{name} written")
            return Path(name)

        return write

    writer.save(state(), slow("a"))
    events.append("training goes on")
    assert writer.newest is None
    writer.save(state(), slow("b"))
    events.append("saved b")
    assert writer.newest == Path("a")
    writer.wait()
    assert events == ["training goes on", "a written", "saved b", "b written"]
    assert writer.newest == Path("b")


def test_a_check_does_not_wait(writer: CheckpointWriter) -> None:
    free = threading.Event()

    def write(_: Tensors) -> Path:
        assert free.wait(60)
        return Path("step-1")

    writer.save(state(), write)
    writer.check()
    assert writer.newest is None
    free.set()
    while writer.newest is None:  # within the time limit of any test
        writer.check()


@pytest.mark.parametrize(
    "go_on",
    [
        lambda writer: _until_it_raises(writer.check),
        lambda writer: writer.save(state(), lambda _: Path("step-3")),
        lambda writer: writer.wait(),
        lambda writer: writer.__exit__(None, None, None),
    ],
    ids=["check", "save", "wait", "end"],
)
def test_a_failed_write_is_raised_once_by_whatever_comes_next(
    writer: CheckpointWriter, logged: list[str], go_on: Callable[[CheckpointWriter], None]
) -> None:
    writer.save(state(), lambda _: Path("step-1"))
    writer.save(state(), refuse)
    with pytest.raises(TrainError, match=r"^no space$"):
        go_on(writer)
    writer.wait()
    assert writer.newest == Path("step-1")
    assert logged == []


@pytest.mark.parametrize("fails", [False, True])
def test_another_error_waits_for_the_write_and_stays_the_one_that_is_raised(logged: list[str], fails: bool) -> None:
    def write(copies: Tensors) -> Path:
        time.sleep(0.1)
        return refuse(copies) if fails else Path("step-1")

    def train(writer: CheckpointWriter) -> None:
        with writer:
            writer.save(state(), write)
            raise ZeroDivisionError

    writer = CheckpointWriter(CPU, log=logged.append)
    with pytest.raises(ZeroDivisionError):
        train(writer)
    assert logged == (["no space"] if fails else [])
    assert writer.newest == (None if fails else Path("step-1"))


def test_an_interpreter_that_ends_waits_for_the_thread(writer: CheckpointWriter) -> None:
    daemons = list[bool]()

    def write(_: Tensors) -> Path:
        daemons.append(threading.current_thread().daemon)
        return Path("step-1")

    writer.save(state(), write)
    writer.wait()
    assert daemons == [False]


def _until_it_raises(function: Callable[[], None]) -> None:
    while True:  # within the time limit of any test
        function()
