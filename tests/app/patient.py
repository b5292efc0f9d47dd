"""One who waits while others come and go: `python -m tests.app.patient read`, or `leave` if they read no answer.

A process of its own, for Gradio leaves its server's sockets to the garbage collector.
"""

import json
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from app.sessions import keep_waiting_sessions
from tests.app.server import free_port

FEW = 4


class Page:
    """A page in this process, of which one function waits until it may answer."""

    def __init__(self) -> None:
        self.go, self.began = threading.Event(), threading.Event()
        with gr.Blocks(analytics_enabled=False) as self.demo:
            word = gr.Textbox()
            gr.on([], self._wait, word, word, api_name="wait")
            gr.on([], lambda word: word, word, word, api_name="echo")
        self.demo.queue(default_concurrency_limit=None)
        self.demo._queue.ANAYLTICS_CACHE_FREQUENCY = 2**62  # (so spelt) as `app.serving` sets it

    def _wait(self, word: str) -> str:
        self.began.set()
        assert self.go.wait(30)
        return word

    @contextmanager
    def served(self) -> Iterator[None]:
        self._port = free_port()
        self.demo.launch(server_port=self._port, prevent_thread_lock=True, quiet=True)
        try:
            yield
        finally:
            self.go.set()
            self.demo.close()

    def join(self, function: int, session: str) -> None:
        body = {"data": [session], "fn_index": function, "session_hash": session}
        self._open("join", json.dumps(body).encode())

    def answer(self, session: str) -> list[str]:
        """Return the kinds of messages of a session's stream, until it ends."""
        lines = self._open(f"data?session_hash={session}").splitlines()
        return [json.loads(line.removeprefix("data: "))["msg"] for line in lines if line]

    def _open(self, path: str, body: bytes | None = None) -> str:
        address = f"http://127.0.0.1:{self._port}/gradio_api/queue/{path}"
        call = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(call, timeout=30) as answer:
            return str(answer.read().decode())


def main(what: str) -> None:
    page = Page()
    keep_waiting_sessions(page.demo, FEW)
    queue = page.demo._queue
    with page.served():
        page.join(0, "patient")
        assert page.began.wait(30)
        for visitor in map(str, range(3 * FEW)):
            page.join(1, visitor)
            if what == "read":
                assert page.answer(visitor)[-2:] == ["process_completed", "close_stream"]
            while set(queue.event_ids_to_events) - queue.pending_event_ids_session["patient"]:
                time.sleep(0.01)  # until it is answered
        page.go.set()
        assert page.answer("patient")[-2:] == ["process_completed", "close_stream"]
        assert max(len(queue.pending_messages_per_session), len(queue.pending_event_ids_session)) <= FEW


if __name__ == "__main__":
    main(*sys.argv[1:])
