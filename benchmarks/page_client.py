"""A visitor of the page in little code, so that what is measured is the server and not its client.

It speaks as the page does: an event joins Gradio's queue, and its messages come as a stream of the session.
"""

import copy
import http.client
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen


class PageClient:
    """One of the threads of a session.

    Args:
        port: of the page, on this machine.
        session: its name; empty for a new one.
        address: from which it comes: any in 127.0.0.0/8, so that visitors can be told apart.
    """

    def __init__(self, port: int, session: str = "", address: str = "127.0.0.1") -> None:
        self.session = session or uuid.uuid4().hex
        self._port, self._address = port, address
        with urlopen(f"http://127.0.0.1:{port}/config") as answer:
            (self._sample,) = (
                entry["id"] for entry in json.load(answer)["dependencies"] if entry["api_name"] == "sample"
            )
        with urlopen(f"http://127.0.0.1:{port}/gradio_api/info") as answer:
            parameters = json.load(answer)["named_endpoints"]["/sample"]["parameters"]
        self._defaults = {entry["parameter_name"]: entry.get("parameter_default") for entry in parameters}

    def another_session(self) -> "PageClient":
        """Return a client of the same address in a session of its own."""
        other = copy.copy(self)
        other.session = uuid.uuid4().hex
        return other

    def leave(self, classes: list[str], count: int, *, seed: int) -> None:
        """Ask for images, and go before they are there."""
        self.join(classes, count, seed=seed)
        with self._answer("GET", f"/gradio_api/queue/data?session_hash={self.session}") as stream:
            stream.readline()

    def ask(self, classes: list[str], count: int, *, seed: int) -> tuple[float, str]:
        """Ask for images and wait for them.

        Args:
            classes, count, seed: as of the endpoint /sample.
        Returns:
            Seconds until their addresses were there, and why it was refused; empty if it was not.
        """
        started = time.perf_counter()
        event = self.join(classes, count, seed=seed)
        answers = dict(self.answers())
        return time.perf_counter() - started, answers[event]

    def join(self, classes: list[str], count: int, *, seed: int) -> str:
        """Ask for images without waiting; returns the id under which the answer will come."""
        data = self._defaults | {"classes": classes, "count": count, "seed": seed}
        body = json.dumps({"data": [*data.values()], "fn_index": self._sample, "session_hash": self.session})
        with self._answer("POST", "/gradio_api/queue/join", body) as answer:
            event: str = json.load(answer)["event_id"]
        return event

    def answers(self) -> Iterator[tuple[str, str]]:
        """Yield id and refusal of each request as it is answered, until none is left."""
        with self._answer("GET", f"/gradio_api/queue/data?session_hash={self.session}") as stream:
            for line in stream:
                if line.startswith(b"data: "):
                    message: dict[str, Any] = json.loads(line[len("data: ") :])
                    if message["msg"] == "process_completed":
                        yield message["event_id"], "" if message["success"] else str(message["output"]["error"])

    def _answer(self, verb: str, path: str, body: str | None = None) -> http.client.HTTPResponse:
        # A new connection each time: the server closes those that were idle for five seconds.
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=300, source_address=(self._address, 0))
        connection.request(verb, path, body, {"Content-Type": "application/json", "Connection": "close"})
        return connection.getresponse()
