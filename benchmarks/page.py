"""Measure the page: start, first image, sixteen more, memory, and 32 clients at once.

`python -m benchmarks.page` serves a random generator of the official size (128 px, 1,000 ImageNet classes) with
`python -m app`, asks it through `gradio_client`, and prints one JSON object. Linux only: memory is read from /proc.
"""

import argparse
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from gradio_client import Client
from gradio_client.exceptions import AppError

from benchmarks.job import fresh_generator
from benchmarks.machine import process_bytes
from sngan_cond import GeneratorConfig
from sngan_cond.classes import imagenet_classes

SAMPLE_EVERY_S = 0.5
START_S = 60
MIB = 2**20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=32, help="clients that ask at once (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long they ask (default: %(default)s)")
    parser.add_argument("--count", type=int, default=1, help="images in each of their requests (default: %(default)s)")
    parser.add_argument(
        "--resolution", type=int, default=128, help="side of the generator's images in px (default: %(default)s)"
    )
    parser.add_argument("--device", default="auto", help="as of python -m app (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        save_random_model(model, options.resolution)
        figures = measure(model, options)
    text = json.dumps(figures, indent=2)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n")


def save_random_model(folder: Path, resolution: int) -> None:
    """Save an untrained generator of official width with ImageNet's classes; time and memory do not look at numbers."""
    names, ids = imagenet_classes()
    config = GeneratorConfig(resolution=resolution, num_classes=1000, class_names=names, class_ids=ids)
    fresh_generator(config).save_pretrained(folder)


def measure(model: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Serve the model in a folder and take all figures."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}/"
    words = ["-m", "app", "--model", str(model), "--port", str(port), "--no-browser", "--device", options.device]
    environment = os.environ | {"GRADIO_TEMP_DIR": str(model.parent / "gradio")}
    load_before = os.getloadavg()[0]
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, *words], env=environment, stdout=subprocess.DEVNULL) as server:
        try:
            _wait(address)
            answering_s = time.perf_counter() - started
            memory = MemoryWatch(server.pid)
            client = Client(address, verbose=False, download_files=False)
            figures: dict[str, Any] = {
                "cores": len(os.sched_getaffinity(0)),
                "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
                "torch": torch.__version__,
                "load_average_before": round(load_before, 2),
                "page_answers_s": round(answering_s, 2),
                "first_picture_s": timed(client, ["golden retriever"], 1, seed=0),
                "sixteen_more_s": timed(client, ["tench"], 16, seed=1),
                "one_more_s": timed(client, ["goldfish"], 1, seed=2),
                "memory_after_these_mib": memory.now_mib(),
            }
            figures["load"] = ask_at_once(address, memory, options)
            figures["peak_memory_mib"] = memory.stop()
        finally:
            server.terminate()
    return figures


def timed(client: Client, classes: list[str], count: int, *, seed: int) -> float:
    """Return the seconds of one request, from the client's call to the files' addresses."""
    started = time.perf_counter()
    client.predict(classes=classes, count=count, seed=seed, api_name="/sample")
    return round(time.perf_counter() - started, 2)


def ask_at_once(address: str, memory: "MemoryWatch", options: argparse.Namespace) -> dict[str, Any]:
    """Let many clients ask without pause.

    Args:
        options: how many clients, for how many seconds, with how many images a request.
    Returns:
        Requests by outcome, seconds of the answered ones, memory at the start and the end.
    """
    outcomes: Counter[str] = Counter()
    seconds: list[float] = []
    ready, stop = threading.Barrier(options.clients + 1), threading.Event()

    def ask(number: int) -> None:
        client = Client(address, verbose=False, download_files=False)
        draw = random.Random(number)
        ready.wait()
        while not stop.is_set():
            started = time.perf_counter()
            try:
                client.predict([str(draw.randrange(1000))], count=options.count, seed=number, api_name="/sample")
            except AppError as error:
                outcomes[f"refused: {error}"] += 1
                time.sleep(0.5)
            else:
                outcomes["answered"] += 1
                seconds.append(time.perf_counter() - started)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(options.clients)]
    for thread in threads:
        thread.start()
    ready.wait()
    memory.mark()
    time.sleep(options.seconds)
    stop.set()
    for thread in threads:
        thread.join()
    mean_mib = memory.means_since_mark_mib()
    deciles = statistics.quantiles(seconds, n=10) if len(seconds) > 1 else [0.0] * 9
    return {
        "clients": options.clients,
        "seconds": options.seconds,
        "pictures_a_request": options.count,
        "requests": dict(outcomes),
        "median_s": round(deciles[4], 2),
        "ninetieth_percentile_s": round(deciles[8], 2),
        "memory_by_quarter_mib": mean_mib,
    }


class MemoryWatch:
    """Reads from a thread how much memory a process holds."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seen: list[int] = []  # bytes
        self._mark = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_EVERY_S):
            self._seen.append(process_bytes(self._pid, "VmRSS"))

    def now_mib(self) -> int:
        """Return what the process holds now."""
        return process_bytes(self._pid, "VmRSS") // MIB

    def mark(self) -> None:
        """Begin the part that `means_since_mark_mib` is about."""
        self._mark = len(self._seen)

    def means_since_mark_mib(self) -> list[int]:
        """Return the mean of each quarter of the time since the mark; flat memory has four alike."""
        seen = self._seen[self._mark :]
        quarter = max(1, len(seen) // 4)
        parts = [seen[i * quarter : (i + 1) * quarter] for i in range(4)]
        return [round(statistics.mean(part) / MIB) for part in parts if part]

    def stop(self) -> int:
        """Stop, and return the most that the process ever held, as the kernel counted it."""
        self._stop.set()
        self._thread.join()
        return process_bytes(self._pid, "VmHWM") // MIB


def _wait(address: str) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=START_S):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)
    raise SystemExit(f"the page does not answer within {START_S} s")


if __name__ == "__main__":
    main()
