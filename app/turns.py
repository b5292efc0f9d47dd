"""Whose request comes next: so many run at once, and every visitor gets the same share of them.

Gradio's own queue is first come, first served, and one visitor who sends a thousand requests would shut all others out.
So it lets everything through to here.
"""

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from app.limits import LIMITS, InvalidRequest, Limits


class Visitor(NamedTuple):
    """Who asks: a session at an address. Many people may share an address, and one robot may open many sessions."""

    address: str
    session: str

    @classmethod
    def of(cls, http_request: Any) -> "Visitor":
        """Return who sent a request, as Gradio hands it to an event; None is a call from Python."""
        if http_request is None:
            return cls("", "")
        client = http_request.client
        return cls("" if client is None else client.host, http_request.session_hash or "")


_NUMBERS = itertools.count()


@dataclass(eq=False)
class Turn:
    """The place of one request, in the line or among those that run."""

    visitor: Visitor
    notify: Callable[[], None]  # called, from any thread, whenever what stands below has changed
    running: bool = False
    ahead: int = 0  # requests of other visitors that come before it, while it waits
    number: int = field(default_factory=_NUMBERS.__next__)  # in order of arrival


class Turns:
    """Lets requests run, the next one of whoever has the fewest running, first between addresses, then at one address.

    Nothing here blocks or awaits, so that a request that is cancelled at any moment only has to call `end`.
    """

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._running: list[Turn] = []
        self._waiting: list[Turn] = []  # first come first
        self._guard = threading.Lock()  # the page has one event loop, scripts and tests have others

    def ask(self, visitor: Visitor, notify: Callable[[], None]) -> Turn:
        """Join the line; the turn runs already if nobody is in the way. Call `end` whatever happens.

        Args:
            notify: as in `Turn`.
        Raises:
            InvalidRequest: if too many are waiting, from this address or in all.
        """
        turn = Turn(visitor, notify)
        with self._guard:
            own = sum(waiting.visitor.address == visitor.address for waiting in self._waiting)
            if own >= self._limits.waiting_of_address:
                raise InvalidRequest(f"{own} requests from your address are waiting: let some finish")
            if len(self._waiting) >= self._limits.waiting:
                raise InvalidRequest(f"{len(self._waiting)} requests are waiting, more than enough: try again later")
            self._waiting.append(turn)
            self._advance()
        return turn

    def end(self, turn: Turn) -> None:
        """Leave the line, or make room for the next."""
        with self._guard:
            (self._running if turn.running else self._waiting).remove(turn)
            self._advance()

    def _advance(self) -> None:
        running = Counter(turn.visitor.address for turn in self._running)
        left: Counter[Visitor] = Counter()  # who stay in the line
        in_all = 0
        for turn in self._line():
            address = turn.visitor.address
            if (
                len(self._running) < self._limits.requests_at_once
                and running[address] < self._limits.running_of_address
            ):
                running[address] += 1
                self._waiting.remove(turn)
                self._running.append(turn)
                turn.running = True
                turn.notify()
                continue
            ahead = in_all - left[turn.visitor]
            in_all += 1
            left[turn.visitor] += 1
            if ahead != turn.ahead:
                turn.ahead = ahead
                turn.notify()

    def _line(self) -> list[Turn]:
        """Return those who wait in the order in which they would run if nobody else came."""
        of_one_address = self._by_share(self._waiting, lambda turn: turn.visitor)
        return self._by_share(of_one_address, lambda turn: turn.visitor.address)

    def _by_share(self, turns: Iterable[Turn], whose: Callable[[Turn], Hashable]) -> list[Turn]:
        """Sort by how many requests of the same visitor or address run already, or stand before it in the list."""
        before = Counter(map(whose, self._running))
        shares: list[tuple[int, int, Turn]] = []
        for turn in turns:
            shares.append((before[whose(turn)], turn.number, turn))
            before[whose(turn)] += 1
        return [turn for _, _, turn in sorted(shares)]
