"""Each process of a run tells the others that it lives; one that falls silent or stuck is named, and all end.

Beside the collectives, which say at best that something timed out: a thread of each process writes once a second into
a store what the process has done, and reads what the others have. It needs nothing of a GPU or of the process group.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from types import TracebackType
from typing import NamedTuple, NoReturn, Self

import torch.distributed as dist
from accelerate import Accelerator, PartialState
from accelerate.utils import broadcast_object_list

from train.errors import TrainError

BEAT_S = 1.0
_MEETING_BEAT_S = 0.05  # while others are waited for
_LEAVING_S = 2.0  # in which a process tells the others that it leaves
STATUS = 2  # with which all processes end
_STARTING = "starting"  # kernels are compiled and chosen in the first steps, for as long as that takes
_ENDED = "ended"
_AGAIN = "all processes end; start the same command again to go on"


class Beat(NamedTuple):
    """What a process says of itself.

    Args:
        number: how often it has spoken.
        updates: that its main thread has begun.
        meetings: at which it has arrived.
        long_work: what it does that may take any time, empty where it makes updates.
        who: where it runs.
    """

    number: int = 0
    updates: int = 0
    meetings: int = 0
    long_work: str = _STARTING
    who: str = ""

    def encode(self) -> str:
        """Return what `decode` reads."""
        return "|".join(map(str, self))

    @classmethod
    def decode(cls, text: bytes) -> "Beat":
        """Read what `encode` wrote."""
        number, updates, meetings, long_work, who = text.decode().split("|", maxsplit=4)
        return cls(int(number), int(updates), int(meetings), long_work, who)


class Watch:
    """Watches the processes of a launched program, as a context; with one process it does nothing.

    Args:
        state: of the processes; all of them make a watch at the same time.
        longest_s: seconds for which a process may be silent, or begin no update outside of `long_work` and `busy`.
        end: called with what is to be said, or None where another process says it; ends the process.
    """

    def __init__(
        self,
        state: Accelerator | PartialState,
        *,
        longest_s: float,
        end: "Callable[[str | None], None] | None" = None,
    ) -> None:
        self._state, self.rank, self.count = state, state.process_index, state.num_processes
        self._longest_s, self._end = longest_s, end or _exit
        self._own = Beat(who=f"pid {os.getpid()} on {socket.gethostname()}")  # written by the main thread alone
        self._spoken = 0
        self._first_step: int | None = None
        self._changed, self._speak = threading.Condition(), threading.Event()
        self._closing = self._store_is_gone = False
        if self.count > 1:
            self._store = _open_store(state, timedelta(seconds=longest_s))
            self._beats = self._exchange()
            self._answered = time.monotonic()
            self._heard = self._moved = [self._answered] * self.count
            # Two threads: no timeout of the store's ends a question to a process that was stopped.
            self._talker = threading.Thread(target=self._talk, name="watch-talks", daemon=True)
            self._talker.start()
            threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def begin_update(self, step: int) -> None:
        """Say that an update of a step begins, its batch being at hand."""
        if self._first_step is None:
            self._first_step = step
        starting = self._own.long_work == _STARTING and step < self._first_step + 2
        self._own = self._own._replace(updates=self._own.updates + 1, long_work=_STARTING if starting else "")

    @contextmanager
    def long_work(self, name: str) -> Iterator[None]:
        """Let the others wait for as long as the block takes; all processes enter it, and leave it together."""
        with self.busy(name):
            yield
            self.meet()

    @contextmanager
    def busy(self, name: str) -> Iterator[None]:
        """Let the others wait for as long as the block takes, which this process may enter alone."""
        before = self._own.long_work
        self._own = self._own._replace(long_work=name)
        yield
        self._own = self._own._replace(long_work=before)

    def meet(self) -> None:
        """Wait until all processes are here, for as long as they live.

        It goes before a collective that some reach much later than others, for a collective has a timeout.
        """
        if self.count > 1:
            self._own = self._own._replace(meetings=self._own.meetings + 1)
            self._speak.set()
            with self._changed:
                self._changed.wait_for(self._have_met)
            self._speak.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Stop watching: once all processes are here, or without them where an error ends this one.

        Raises:
            TrainError: who is gone, instead of an error that says no more than that a collective has failed.
        """
        if self.count == 1:
            return
        lost = self._missing() if _is_of_a_collective(error) else []
        if error is None:
            self.meet()
            self._closing = True
            self._speak.set()
            self._state.wait_for_everyone()  # the store is the main process's: it goes when all have seen that all met
            self._talker.join()
        else:
            self._leave()
        if lost:
            raise TrainError(self._sentence(lost, "has ended")) if self._is_speaker(lost) else SystemExit(STATUS)

    def _missing(self) -> list[int]:
        """Return who is gone, after a collective has failed: who is not heard of for three beats, or has said so."""
        for _ in range(10):
            time.sleep(BEAT_S)
            recently = time.monotonic() - 3 * BEAT_S
            if self._store_is_gone:
                return [0]
            gone = [
                rank
                for rank in range(self.count)
                if rank != self.rank and (self._heard[rank] < recently or self._beats[rank].long_work == _ENDED)
            ]
            if gone:
                return gone
        return []

    def _leave(self) -> None:
        """Tell the others, who need not wait to find out."""
        self._closing = True
        self._speak.set()
        self._talker.join(_LEAVING_S)
        self._own = self._own._replace(long_work=_ENDED)
        if self._talker.is_alive() or self._store_is_gone:  # the main process, which has the store, is lost
            return
        with suppress(RuntimeError):
            self._exchange()
            if self.rank == 0:
                time.sleep(_LEAVING_S)

    def _talk(self) -> None:
        """Say what this process does, and hear what the others do, once a second."""
        while not self._closing:
            try:
                self._note(self._exchange())
            except RuntimeError:  # the store's process has ended
                self._store_is_gone = True
                return
            self._speak.wait(BEAT_S)
            if self._speak.is_set():
                time.sleep(_MEETING_BEAT_S)

    def _watch(self) -> None:
        """Look once a second whether a process is lost, and end all."""
        looked = time.monotonic()
        while not self._closing:
            time.sleep(BEAT_S)
            now = time.monotonic()
            if now - looked > self._longest_s / 2:  # this process itself was stopped, and heard nobody meanwhile
                self._heard = self._moved = [now] * self.count
                self._answered = now
            looked = now
            if lost := self._lost(now):
                if not self._closing:
                    self._end(self._sentence(*lost) if self._is_speaker(lost[0]) else None)
                return

    def _lost(self, now: float) -> tuple[list[int], str] | None:
        """Return which processes are lost, and what is said of them."""
        if self._store_is_gone:
            return [0], "has ended"
        if ended := [rank for rank, beat in enumerate(self._beats) if beat.long_work == _ENDED]:
            return ended, "has ended"
        if now - self._answered > self._longest_s:
            silent = [0]
        else:
            silent = [rank for rank, at in enumerate(self._heard) if rank != self.rank and now - at > self._longest_s]
        if silent:
            return silent, f"has not answered for {self._longest_s:g} s"
        stuck = self._stuck(now)
        return (stuck, f"has begun no update for {self._longest_s:g} s") if stuck else None

    def _exchange(self) -> list[Beat]:
        """Say what this process has done, and return what all have said."""
        self._spoken += 1
        self._store.set(str(self.rank), self._own._replace(number=self._spoken).encode())
        return [Beat.decode(text) for text in self._store.multi_get([str(rank) for rank in range(self.count)])]

    def _note(self, beats: list[Beat]) -> None:
        now = time.monotonic()
        heard, moved = list(self._heard), list(self._moved)
        for rank, (old, new) in enumerate(zip(self._beats, beats, strict=True)):
            if new.number != old.number:
                heard[rank] = now
            if new.updates != old.updates or new.long_work:
                moved[rank] = now
        self._heard, self._moved = heard, moved
        with self._changed:
            self._beats, self._answered = beats, now
            self._changed.notify_all()

    def _have_met(self) -> bool:
        return all(beat.meetings >= self._own.meetings for beat in self._beats)

    def _stuck(self, now: float) -> list[int]:
        """Return whom all wait for: of processes that have begun no update for too long, those furthest behind."""
        if any(now - at <= self._longest_s for at in self._moved):
            return []
        least = min(beat.updates for beat in self._beats)
        return [rank for rank, beat in enumerate(self._beats) if beat.updates == least]

    def _is_speaker(self, lost: Sequence[int]) -> bool:
        """Return whether this process says who is lost: the first of the others does."""
        return self.rank == next((rank for rank in range(self.count) if rank not in lost), lost[0])

    def _sentence(self, ranks: Sequence[int], what: str) -> str:
        names = [f"process {rank} of {self.count} ({self._beats[rank].who})" for rank in ranks]
        return f"{', '.join(names)} {what}; {_AGAIN}"


def _is_of_a_collective(error: BaseException | None) -> bool:
    """Return whether an exchange between processes failed; gloo's errors have no class of their own."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "/gloo/" in str(error))


def _open_store(state: Accelerator | PartialState, timeout: timedelta) -> dist.TCPStore:
    """Open a store in the main process, at a free port, and connect to it where the others found that process."""
    is_main = state.is_main_process
    address = os.environ.get("MASTER_ADDR", "127.0.0.1")
    store = dist.TCPStore(address, 0, is_master=True, timeout=timeout, wait_for_workers=False) if is_main else None
    port = broadcast_object_list([store.port if store else None])[0]
    return store or dist.TCPStore(address, port, timeout=timeout, wait_for_workers=False)


def _exit(sentence: str | None) -> NoReturn:
    """End the process at once: its main thread may wait in a collective, which nothing interrupts."""
    if sentence is None:
        time.sleep(BEAT_S)  # the launcher ends all when the first has ended: whoever speaks goes first
    else:
        with suppress(OSError, ValueError):  # a closed pipe, a file on a full disk, or one that was closed
            print(f"\nerror: {sentence}", file=sys.stderr, flush=True)
    os._exit(STATUS)
