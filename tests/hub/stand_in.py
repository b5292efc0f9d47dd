"""A small Hugging Face Hub on loopback, for the real huggingface_hub client.

In a test: `with HubStandIn(tmp_path) as hub:` and `hub.environment()` for a subprocess, since the client reads
HF_ENDPOINT when it is imported. In a shell: `python -m tests.hub.stand_in --port 0 --store DIR`.
`hub.faults` makes its endpoints fail one by one (`tests/hub/faults.py`).
Large files travel by git-lfs' basic transfer, so HF_HUB_DISABLE_XET=1 has to be set.
"""

import argparse
import contextlib
import random
import socket
import sys
import threading
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from tests.hub.endpoints import Handler
from tests.hub.faults import Faults
from tests.hub.store import Store

TOKENS = {"hf_alice": "alice", "hf_bob": "bob"}


class HubStandIn:
    """The server; it may be stopped and started again on the same port, with what it held.

    Args:
        store: folder of its state.
        port: 0 takes a free one.
        tokens: token to user name.
        fail_rate: share of requests answered with 500 or 503; may be changed while it runs.
        latency_s: seconds every answer is held back; may be changed while it runs.
    """

    def __init__(
        self,
        store: str | Path,
        port: int = 0,
        *,
        tokens: dict[str, str] | None = None,
        fail_rate: float = 0.0,
        latency_s: float = 0.0,
    ) -> None:
        self.store = Store(store)
        self.port = port
        self.tokens = TOKENS if tokens is None else tokens
        self.fail_rate = fail_rate
        self.latency_s = latency_s
        self.random = random.Random(0)
        self.lose_answers = 0  # so many of the next commits are made and not confirmed
        self.faults = Faults()
        self.before_download: Callable[[], object] = lambda: None
        self.requests: list[tuple[str, str, int]] = []
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        """The value for HF_ENDPOINT."""
        return f"http://127.0.0.1:{self.port}"

    def environment(self, home: str | Path, token: str | None = "hf_alice") -> dict[str, str]:
        """Return the variables that lead a subprocess' client here.

        Args:
            home: the client's own folder (cache and stored logins), empty for an empty cache.
            token: of `tokens`, or None for a visitor.
        """
        values = {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
        values |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
        return values if token is None else {**values, "HF_TOKEN": token}

    def start(self) -> Self:
        """Serve from a thread."""
        self._server = _Server(("127.0.0.1", self.port), Handler)
        self._server.hub = self
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Die: refuse connections and cut the open ones."""
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        self._server.cut()
        self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        if self._server is not None:
            self.stop()

    def titles(self, repo: str, revision: str = "main") -> list[str]:
        """Return the titles of a repo's commits, newest first, as it knows them."""
        with self.store.lock:
            return [commit.title for _, commit in self.store.repos[repo].history(revision)]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    hub: HubStandIn

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a client that went away is its own affair
            super().handle_error(request, client_address)

    def cut(self) -> None:
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def main() -> None:
    """Serve until interrupted; the first line of output is the address."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="TCP port on 127.0.0.1; 0 takes a free one (default: 0)")
    parser.add_argument("--store", required=True, help="folder of the stand-in's state")
    parser.add_argument("--fail-rate", type=float, default=0.0, help="share of requests to fail, 0 to 1 (default: 0)")
    arguments = parser.parse_args()
    with HubStandIn(arguments.store, arguments.port, fail_rate=arguments.fail_rate) as hub:
        print(hub.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
