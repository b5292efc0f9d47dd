"""`python -m app` in a process of its own, as users run it."""

import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.processes import ROOT, started, wait_for

START_S = 120  # on a machine that does other things too


@contextmanager
def served(
    words: list[str], folder: Path, environment: dict[str, str] | None = None, program: tuple[str, ...] = ("-m", "app")
) -> Iterator[str]:
    """Serve the page.

    Args:
        words: of the command line.
        folder: for its files and its log.
        environment: of the process, beside this one's.
        program: what Python runs.
    Yields:
        The page's address, ending in a slash.
    """
    port = free_port()
    address = f"http://127.0.0.1:{port}/"
    log = folder / "log.txt"
    values = {"GRADIO_TEMP_DIR": str(folder / "files"), "GRADIO_SERVER_PORT": str(port)}
    values |= {"NO_PROXY": "127.0.0.1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), **(environment or {})}
    if program == ("-m", "app"):
        words = [*words, "--port", str(port), "--no-browser", "--device", "cpu"]
    with started([sys.executable, *program, *words], log, cwd=folder, env=values) as process:
        wait_for(lambda: _answers(address), process, longest_s=START_S)
        assert process.poll() is None, "the server died"
        try:
            yield address
            assert process.poll() is None, "the server died"
        finally:
            process.terminate()
            process.wait(20)
    # Gradio prints what is wrong with a malformed call; nothing may get as far as our code and fail there.
    assert str(ROOT / "app") not in log.read_text(), log.read_text()


def free_port() -> int:
    """Return a TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
