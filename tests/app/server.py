"""`python -m app` in a process of its own, as users run it."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
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
    values = os.environ | {"GRADIO_TEMP_DIR": str(folder / "files"), "GRADIO_SERVER_PORT": str(port)}
    values |= {"NO_PROXY": "127.0.0.1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), **(environment or {})}
    if program == ("-m", "app"):
        words = [*words, "--port", str(port), "--no-browser", "--device", "cpu"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, *program, *words], cwd=folder, env=values, stdout=output, stderr=output
        )
    try:
        _wait(process, address, log)
        yield address
        assert process.poll() is None, f"the server died:\n{log.read_text()}"
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


def _wait(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the server died:\n{log.read_text()}"
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise AssertionError(f"no answer within {START_S} s:\n{log.read_text()}")
