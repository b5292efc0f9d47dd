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
    refusal: str = ""  # why it was turned away after all, for somebody who had less
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
            InvalidRequest: if too many are waiting, from this address or in all, and no other session or address has
                more of them: its latest is turned away instead, and hears why.
        """
        turn = Turn(visitor, notify)
        with self._guard:
            own = [waiting for waiting in self._waiting if waiting.visitor.address == visitor.address]
            if len(own) >= self._limits.waiting_of_address:
                self._turn_away(own, visitor, _session, f"{len(own)} requests from your address are waiting")
            elif len(self._waiting) >= self._limits.waiting:
                self._turn_away(self._waiting, visitor, _address, f"{len(self._waiting)} requests are waiting")
            self._waiting.append(turn)
            self._advance()
        return turn

    def end(self, turn: Turn) -> None:
        """Leave the line, or make room for the next."""
        with self._guard:
            if not turn.refusal:
                (self._running if turn.running else self._waiting).remove(turn)
                self._advance()

    def _turn_away(self, turns: "list[Turn]", visitor: Visitor, whose: "Whose", why: str) -> None:
        """Turn away the latest request of whoever has the most of these, or this visitor who would have as many."""
        counts = Counter(whose(turn.visitor) for turn in turns)
        ((most, count),) = counts.most_common(1)
        if count <= counts[whose(visitor)] + 1:
            raise InvalidRequest(f"{why}: let some finish")
        latest = max((turn for turn in turns if whose(turn.visitor) == most), key=lambda turn: turn.number)
        self._waiting.remove(latest)
        latest.refusal = f"{why}: let some finish"
        latest.notify()

    def _advance(self) -> None:
        running = Counter(owner(turn.visitor) for turn in self._running for owner in (_address, _session))
        left: Counter[Visitor] = Counter()  # who stay in the line
        in_all = 0
        for turn in self._line():
            if (
                len(self._running) < self._limits.requests_at_once
                and running[turn.visitor.address] < self._limits.running_of_address
                and running[turn.visitor] < self._limits.running_of_session
            ):
                running.update((turn.visitor.address, turn.visitor))
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
        return self._by_share(self._by_share(self._waiting, _session), _address)

    def _by_share(self, turns: Iterable[Turn], whose: "Whose") -> list[Turn]:
        """Sort by how many requests of the same session or address run already, or stand before it in the list."""
        before = Counter(whose(turn.visitor) for turn in self._running)
        shares: list[tuple[int, int, Turn]] = []
        for turn in turns:
            owner = whose(turn.visitor)
            shares.append((before[owner], turn.number, turn))
            before[owner] += 1
        return [turn for _, _, turn in sorted(shares)]


Whose = Callable[[Visitor], Hashable]


def _address(visitor: Visitor) -> Hashable:
    return visitor.address


def _session(visitor: Visitor) -> Hashable:
    return visitor
