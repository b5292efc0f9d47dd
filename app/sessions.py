"""Which sessions of Gradio are kept: those of visitors who wait for an answer."""

from collections import OrderedDict
from typing import Any

import gradio as gr

KEPT = 2000  # as many as Gradio keeps; four times as many as may wait (`LIMITS.waiting`)


class Sessions(OrderedDict[str, Any]):
    """The messages to be sent to each session, in place of Gradio's own.

    Gradio never forgets a session that was answered, and drops the oldest where there are too many: under load that is
    one that has waited long, whose stream then ends without an answer.

    Args:
        queue: Gradio's; it says which requests of a session were not answered yet, and which of them are under way.
        kept: sessions at most.
    """

    def __init__(self, queue: Any, kept: int = KEPT) -> None:
        super().__init__()
        self._queue, self._kept = queue, kept

    def __setitem__(self, session: str, messages: Any) -> None:
        if session not in self and len(self) >= self._kept:
            self._make_room()
        super().__setitem__(session, messages)

    def _make_room(self) -> None:
        unanswered, under_way = self._queue.pending_event_ids_session, self._queue.event_ids_to_events
        for session in [session for session in self if not unanswered.get(session)]:
            self._forget(session)
        if len(self) >= self._kept:  # then of those who asked and did not stay to read it, and only then the oldest
            gone = (name for name in self if not any(event in under_way for event in unanswered.get(name, ())))
            self._forget(next(gone, next(iter(self))))

    def _forget(self, session: str) -> None:
        del self[session]
        self._queue.pending_event_ids_session.pop(session, None)


def keep_waiting_sessions(demo: gr.Blocks, kept: int = KEPT) -> None:
    """Let a page, after `queue`, keep the sessions of those who wait."""
    demo._queue.pending_messages_per_session = Sessions(demo._queue, kept)
