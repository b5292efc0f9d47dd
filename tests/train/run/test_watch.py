"""Processes that are silent, stuck, gone or busy, as the others see them: two watches in one process, one store."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch.distributed as dist

from tests.processes import started, wait_for
from tests.train.launch import TWO, tiny_command
from train.errors import TrainError
from train.run import watch as module
from train.run.watch import Watch

pytestmark = pytest.mark.slow  # it waits for limits of time, which other tests can use

LONGEST_S = 1.5  # and not less: others may keep the processors busy


class Pair:
    """Two watches, and what each was told to say at its end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, longest_s: float) -> None:
        self.longest_s = longest_s
        monkeypatch.setattr(module, "BEAT_S", 0.1)
        stores = [dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)]
        stores.append(dist.TCPStore("127.0.0.1", stores[0].port, wait_for_workers=False, timeout=timedelta(seconds=9)))
        monkeypatch.setattr(module, "_open_store", lambda state, _timeout: stores[state.process_index])
        self.ends: dict[int, list[str | None]] = {0: [], 1: []}
        self.barrier = threading.Barrier(2)
        self.watches: dict[int, Watch] = {}
        self.both(self._open)

    def _open(self, rank: int) -> None:
        state: Any = SimpleNamespace(process_index=rank, num_processes=2, wait_for_everyone=self.barrier.wait)
        self.watches[rank] = Watch(state, longest_s=self.longest_s, end=self.ends[rank].append)

    def both(self, call: Any) -> None:
        """Call something with both ranks at the same time."""
        threads = [threading.Thread(target=call, args=(rank,)) for rank in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()

    def take_steps(self, updates: tuple[int, int]) -> None:
        for rank, count in enumerate(updates):
            for step in range(count):
                self.watches[rank].begin_update(step)

    def close(self) -> None:
        self.both(lambda rank: self.watches[rank].__exit__(None, None, None))


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Pair:
    return Pair(monkeypatch, LONGEST_S)


@pytest.fixture
def patient_pair(monkeypatch: pytest.MonkeyPatch) -> Pair:
    """What these see has another reason than silence."""
    return Pair(monkeypatch, 60.0)


def test_the_process_that_the_others_wait_for_is_named(pair: Pair) -> None:
    """Process 0 has begun an update more, and waits in it for gradients."""
    pair.take_steps((5, 4))
    wait_for(lambda: pair.ends[0] and pair.ends[1], longest_s=20)
    [said], [silent] = pair.ends.values()
    assert silent is None
    assert said is not None
    assert f"process 1 of 2 (pid {os.getpid()} on " in said
    assert "has begun no update for 1.5 s; all processes end" in said


def test_a_process_that_does_not_answer_is_named(pair: Pair) -> None:
    frozen = threading.Event()
    pair.watches[1]._exchange = frozen.wait  # type: ignore[method-assign]  # as one that was stopped, or has no network
    wait_for(lambda: pair.ends[0], longest_s=20)
    assert "process 1 of 2" in str(pair.ends[0])
    assert "has not answered for 1.5 s" in str(pair.ends[0])
    pair.watches[1]._beats = pair.watches[0]._beats
    pair.watches[0]._closing = pair.watches[1]._closing = True


def test_who_hears_no_store_names_its_process(pair: Pair) -> None:
    pair.watches[1]._exchange = threading.Event().wait  # type: ignore[method-assign]  # no timeout of the store's helps
    wait_for(lambda: pair.ends[1], longest_s=20)
    assert "process 0 of 2" in str(pair.ends[1])
    pair.watches[0]._closing = pair.watches[1]._closing = True


def test_long_work_is_waited_for(pair: Pair) -> None:
    """Twice as long as a process may take no step; compiling, before the third step, is such work too."""
    time.sleep(1.2 * LONGEST_S)
    pair.take_steps((3, 3))
    left = {}

    def work(rank: int) -> None:
        with pair.watches[rank].long_work("scoring"):
            time.sleep(2 * LONGEST_S * rank)
        left[rank] = time.monotonic()

    began = time.monotonic()
    pair.both(work)
    assert min(left.values()) - began >= 2 * LONGEST_S
    pair.close()
    assert pair.ends == {0: [], 1: []}


def test_who_is_busy_alone_is_waited_for(pair: Pair) -> None:
    """As a main process that publishes while the others are at their end."""
    pair.take_steps((3, 3))

    def end(rank: int) -> None:
        with pair.watches[rank].busy("publishing") if rank == 0 else nullcontext():
            time.sleep(2 * LONGEST_S * (rank == 0))
        pair.watches[rank].__exit__(None, None, None)

    pair.both(end)
    assert pair.ends == {0: [], 1: []}


def test_who_ends_with_an_error_of_its_own_need_not_be_waited_for(patient_pair: Pair) -> None:
    patient_pair.watches[1].__exit__(TrainError, TrainError("mine"), None)
    wait_for(lambda: patient_pair.ends[0], longest_s=20)
    assert "process 1 of 2" in str(patient_pair.ends[0])
    assert "has ended; all" in str(patient_pair.ends[0])
    assert patient_pair.ends[1] == []


def test_the_survivor_of_a_lost_process_says_who_it_was(patient_pair: Pair) -> None:
    gloo = RuntimeError("[third_party/gloo/gloo/transport/tcp/pair.cc:561] Connection closed by peer")
    patient_pair.watches[1]._closing = True  # it was killed
    with pytest.raises(TrainError, match=r"process 1 of 2 \(pid \d+ on .+\) has ended; all processes end"):
        patient_pair.watches[0].__exit__(RuntimeError, gloo, None)


def test_an_error_of_the_program_stays_what_it_is(patient_pair: Pair) -> None:
    error = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    patient_pair.watches[0].__exit__(RuntimeError, error, None)
    patient_pair.watches[1].__exit__(RuntimeError, error, None)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), BrokenPipeError(), ValueError("closed")])
def test_a_process_ends_though_nobody_can_be_told(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(_: str) -> None:
        raise error

    monkeypatch.setattr(sys, "stderr", SimpleNamespace(write=refuse, flush=lambda: None))
    monkeypatch.setattr(os, "_exit", sys.exit)
    with pytest.raises(SystemExit) as end:
        module._exit("process 1 of 2 has ended")
    assert end.value.code == module.STATUS


@contextmanager
def two_processes(tmp_path: Path, data: Path, *sets: str) -> Iterator[tuple[Any, dict[str, psutil.Process], Path]]:
    """A run of two processes that has begun to train: launcher, processes by rank, and what they print."""
    command = tiny_command(data, tmp_path / "run", "steps=100000", "log_every=1", "save_every=20", *sets)
    log = tmp_path / "log.txt"
    with started([*TWO, *command[1:]], log) as launcher:
        wait_for((tmp_path / "run/scalars.jsonl").exists, launcher)
        ranks = {child.environ()["RANK"]: child for child in psutil.Process(launcher.pid).children()}
        yield launcher, ranks, log


def test_a_process_that_was_stopped_ends_the_run_by_name(tmp_path: Path, tiny_data: Path) -> None:
    with two_processes(tmp_path, tiny_data, "process_timeout=3") as (launcher, ranks, log):
        ranks["1"].suspend()
        wait_for(lambda: "error:" in log.read_text(), launcher, longest_s=60)
        ranks["1"].kill()  # the launcher would after half a minute
        launcher.wait(timeout=60)
    errors = [line for line in log.read_text().splitlines() if line.startswith("error:")]
    assert errors == [
        f"error: process 1 of 2 (pid {ranks['1'].pid} on {os.uname().nodename}) has not answered for 3 s; "
        "all processes end; start the same command again to go on"
    ]


def test_the_survivor_of_a_killed_process_says_one_sentence(tmp_path: Path, tiny_data: Path) -> None:
    with two_processes(tmp_path, tiny_data) as (launcher, ranks, log):
        ranks["1"].send_signal(signal.SIGKILL)
        launcher.wait(timeout=60)
    text = log.read_text()
    assert text.count("error: process 1 of 2") == 1
    assert "has ended; all processes end" in text
    assert "[rank0]" not in text  # no traceback of its own; the launcher has one
