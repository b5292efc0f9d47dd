"""Threads that wait for each other asleep, rather than spinning, while other processes want the processors.

PyTorch and the native kernels share an update's work out to OpenMP's threads thousands of times, and each time all wait
for the last. GNU's runtime lets them spin, 300,000 rounds before they sleep. That is right while every thread has a
processor: to wake a sleeper costs a fifth of training's speed. Beside other busy processes the last thread is often
not running at all, and those that spin take the time that it would need to catch up.

The runtime is told how long to spin before it is loaded, but it documents one exception (GOMP_SPINCOUNT): with more
OpenMP threads than processors, 100 rounds. So a team of threads that sleeps in between is the switch, at any time:
made while the process has to wait for processors, ended when it no longer does. Results do not depend on it.
"""

import glob
import os
import threading
import time

import torch

_PERIOD_S = 0.5  # between two looks; a look takes a tenth of a millisecond
# Share of their time that threads wait for a processor. Measured with two on two: 0.01 alone, 0.35 beside one busy
# process, 0.5 beside two.
_BUSY, _CALM = 0.15, 0.075


class Waiting:
    """How the threads of this process wait: spinning or, while processors are wanted elsewhere, asleep."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # the page samples in several threads
        self._last: tuple[float, float] | None = None
        self._end_team: threading.Event | None = None

    @property
    def is_patient(self) -> bool:
        """Whether threads sleep while they wait."""
        return self._end_team is not None

    def adapt(self) -> None:
        """Look, twice a second at most, whether processors are wanted elsewhere, and wait accordingly from here on."""
        now = time.monotonic()
        if (self._last is not None and now - self._last[0] < _PERIOD_S) or not self._lock.acquire(blocking=False):
            return
        try:
            self._look(now, _seconds_without_processor())
        finally:
            self._lock.release()

    def _look(self, now: float, waited_s: float) -> None:
        last, self._last = self._last, (now, waited_s)
        if last is None:
            return
        threads = torch.get_num_threads()
        share = (waited_s - last[1]) / (now - last[0]) / threads
        if share > _BUSY and not self.is_patient and threads >= _processors():
            self._end_team = _sleeping_team()
        elif share < _CALM and self._end_team is not None:
            self._end_team.set()
            self._end_team = None


WAITING = Waiting()  # one for the process, as its threads are


def _processors() -> int:
    # Not on macOS, nor on Windows; other runtimes wait in ways of their own there.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1 << 30


def _seconds_without_processor() -> float:
    """Return how long threads were ready to run without a processor, in all so far; 0 where nothing says it."""
    nanoseconds = 0
    for path in glob.iglob("/proc/self/task/*/schedstat"):  # noqa: PTH207 - it is read often, and Path.glob is slower
        try:
            with open(path) as file:  # noqa: PTH123
                nanoseconds += int(file.read().split()[1])
        except (OSError, IndexError, ValueError):  # the thread has ended, or the kernel keeps no such statistics
            continue
    return nanoseconds / 1e9


def _sleeping_team() -> threading.Event:
    """Start OpenMP's threads once more, from a thread that computes nothing after; they end when the event is set."""
    started, end = threading.Event(), threading.Event()

    def hold() -> None:
        # 32,768 numbers for each thread: the least that is shared out.
        torch.ones(torch.get_num_threads() << 15).add_(1)
        started.set()
        end.wait()

    threading.Thread(target=hold, name="sngan-cond-waiting", daemon=True).start()
    started.wait()
    return end
