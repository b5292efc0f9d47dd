"""How threads wait for each other beside other processes."""

import hashlib
import os
import sys
import threading

import pytest
import torch

from sngan_cond.fast import waiting
from sngan_cond.fast.waiting import Waiting


def _teams() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "sngan-cond-waiting"]


def test_threads_sleep_while_processors_are_wanted_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting.torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(waiting, "_processors", lambda: 2)
    before, threads = len(_teams()), Waiting()
    # Seconds on the clock, seconds without a processor, and how two threads wait then: between 0.15 and 0.3 as before.
    for now, waited_s, patient in (
        (0, 5, False),  # nothing to compare with yet
        (1, 5.2, False),
        (2, 5.6, True),
        (3, 6.5, True),
        (4, 6.7, True),
        (5, 6.8, False),
        (60, 7.0, False),
        (61, 8.0, True),
        (62, 8.0, False),
    ):
        threads._look(now, waited_s)
        assert threads.is_patient == patient
        if not patient:
            for team in _teams()[before:]:
                team.join(timeout=20)  # its end takes a moment on a busy machine
        assert len(_teams()) == before + patient


def test_with_processors_left_over_threads_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    """One team more than processors is what the runtime looks at; and where some are free nobody waits for long."""
    monkeypatch.setattr(waiting, "_processors", lambda: torch.get_num_threads() + 1)
    threads = Waiting()
    threads._look(0, 0)
    threads._look(1, 1)
    assert not threads.is_patient


def test_it_looks_twice_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.1, 0.4, 0.6, 0.7])
    monkeypatch.setattr(waiting.time, "monotonic", lambda: next(clock))
    looks = []
    monkeypatch.setattr(Waiting, "_look", lambda self, now, _: (looks.append(now), setattr(self, "_last", (now, 0.0))))
    threads = Waiting()
    for _ in range(5):
        threads.adapt()
    assert looks == [0.0, 0.6]


@pytest.mark.skipif(sys.platform != "linux", reason="no other system says it")
def test_the_kernel_says_how_long_threads_were_ready_without_a_processor() -> None:
    """Three threads that share one processor, and hash without the interpreter's lock, wait while another runs."""
    data, processor = bytes(32 << 20), {min(os.sched_getaffinity(0))}
    waited = []

    def work() -> None:
        os.sched_setaffinity(0, processor)  # of this thread
        barrier.wait()
        before = waiting._seconds_without_processor()
        hashlib.sha256(data).digest()
        waited.append(waiting._seconds_without_processor() - before)

    barrier = threading.Barrier(3)
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(waited) > 0.01  # each takes some 20 ms of work, and waits for the two others
