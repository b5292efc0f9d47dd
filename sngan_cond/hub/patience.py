"""How long the Hub may take over what this package asks of it.

huggingface_hub's client waits for ever for most answers, and for the next byte of any. `within` ends that for the
requests that its call makes, and what no limit of a request ends: a status line byte by byte, or a transfer of the
client's that is not in Python. The requests of anybody else in the process stay as they are.
"""

import contextlib
import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextvars import ContextVar
from typing import Any, TypeVar

from huggingface_hub import get_session
from huggingface_hub.utils import _http

CONNECT_S = 10.0
ANSWER_S = 60.0  # for the next byte of an answer: a commit takes the Hub longer than any other
SILENCE_S = 60.0  # for a question and its answer, over all tries of the client
GRACE_S = 5.0  # in which a call that has met its limit is to end by itself
LEAST_BYTES_S = 1000.0  # slower than any line that a model is downloaded over
UNSEEN_BYTES_S = 20_000.0  # what a download that is not in Python is allowed: how fast it comes cannot be seen
_LOOK_S = 0.2  # how often it is seen whether a call has met its limit

T = TypeVar("T")


class HubTooSlowError(TimeoutError):
    """The Hub has not answered in full within what `within` allows."""


class _Limit:
    def __init__(self, longest_s: float, size: int) -> None:
        self._longest_s, self._size, self._ends = longest_s, size, time.monotonic() + longest_s
        self._unseen_ends = self._ends + size / UNSEEN_BYTES_S
        self._asking = False  # whether a request waits for the first bytes of its answer, up to the end of the headers

    def left(self) -> float:
        """Return the seconds left, more than 0."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise HubTooSlowError(f"no whole answer within {self._longest_s:.0f} s")
        return left

    def ask(self) -> float:
        """Begin a request; return the seconds left as `left` does."""
        self._asking = True
        return self.left()

    def answer(self) -> None:
        """Note that the headers of an answer have come."""
        self._asking = False

    def is_over(self) -> bool:
        """Return whether a call has no time left, nor any that bytes may take which nobody sees come."""
        ends = self._ends if self._asking else max(self._ends, self._unseen_ends)
        return time.monotonic() > ends + GRACE_S

    def end(self) -> None:
        """Let no further request be made."""
        self._ends = -math.inf

    def receive(self, size: int) -> None:
        """Grant the time that these bytes may take, as far as they belong to what was asked for."""
        credited = min(size, self._size)
        self._size -= credited
        self._ends = min(self._ends + credited / LEAST_BYTES_S, time.monotonic() + self._longest_s)


_LIMIT: ContextVar[_Limit | None] = ContextVar("limit", default=None)


@contextlib.contextmanager
def _under(limit: _Limit) -> Iterator[None]:
    _watch_client()
    token = _LIMIT.set(limit)
    try:
        yield
    finally:
        _LIMIT.reset(token)


def within(longest_s: float, call: Callable[[], T], *, size: int = 0) -> T:
    """Let the Hub take so long and no longer over what a call asks of it, over all tries of the client.

    The call is made in a thread of its own, and left behind where it meets no limit by itself. What it holds it keeps
    until its connection ends, as a download the cache's lock of its file.

    Args:
        longest_s: seconds.
        call: asks the Hub; its result is returned.
        size: bytes that are downloaded; while they come at `LEAST_BYTES_S` or faster, they may take longer, and what
            does not come through Python may take longer by the time that `UNSEEN_BYTES_S` gives it.
    Raises:
        HubTooSlowError: if it has not ended in time; and what it raises. A request that waits for longer than
            `CONNECT_S` for a connection, or `ANSWER_S` for anything else, raises what the client's HTTP library does
            for a timeout.
    """
    done: Future[T] = Future()
    limit = _Limit(longest_s, size)

    def work() -> None:
        try:
            with _under(limit):
                done.set_result(call())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=work, name="asks the Hub", daemon=True).start()
    try:
        while not wait([done], _LOOK_S).done:
            if limit.is_over():
                raise HubTooSlowError("no end of a download" if size else f"no end within {longest_s:.0f} s")
        return done.result()
    finally:
        limit.end()  # also after Ctrl-C: what is left behind asks for nothing more


def _watch_client() -> None:
    """Have the client of huggingface_hub, and each that follows it, call our hooks.

    `set_client_factory` would close the client, and cut off what other threads load with it; and a factory that the
    user has set, for a proxy or certificates, stays in use inside ours.
    """
    factory = getattr(_http, "_GLOBAL_CLIENT_FACTORY", None)
    if factory is not None and not isinstance(factory, _WatchedFactory):
        _http._GLOBAL_CLIENT_FACTORY = _WatchedFactory(factory)
    _watch(get_session())


class _WatchedFactory:
    def __init__(self, factory: Callable[[], Any]) -> None:
        self._factory = factory

    def __call__(self) -> Any:
        return _watch(self._factory())


def _watch(client: Any) -> Any:
    for kind, hook in (("request", _before_request), ("response", _before_body)):
        if hook not in client.event_hooks[kind]:
            client.event_hooks[kind].append(hook)
    return client


def _before_request(request: Any) -> None:
    if (limit := _LIMIT.get()) is not None:
        left, timeouts = limit.ask(), request.extensions.setdefault("timeout", {})
        for phase, longest_s in (("connect", CONNECT_S), ("read", ANSWER_S), ("write", ANSWER_S), ("pool", ANSWER_S)):
            given = timeouts.get(phase)
            timeouts[phase] = min(left, longest_s if given is None else given)


def _before_body(response: Any) -> None:
    if (limit := _LIMIT.get()) is not None:
        limit.answer()
        # An answer that comes byte by byte meets every timeout. All that reads a body does it through this method.
        response.iter_raw = _Paced(response.iter_raw, limit)
        for name in ("Retry-After", "RateLimit"):  # the client would sleep for as many seconds, however many they are
            if any(int(number) > limit.left() for number in re.findall(r"\d+", response.headers.get(name, "")[:99])):
                del response.headers[name]


class _Paced:
    def __init__(self, iter_raw: Callable[..., Iterator[bytes]], limit: _Limit) -> None:
        self._iter_raw, self._limit = iter_raw, limit

    def __call__(self, chunk_size: int | None = None) -> Iterator[bytes]:
        for chunk in self._iter_raw(chunk_size):
            self._limit.receive(len(chunk))
            self._limit.left()
            yield chunk
