"""Measure the page: start, first image, default set, one visitor and eight, a person beside a robot, memory.

`python -m benchmarks.page` serves a model with `python -m app`, asks for images as the page does, and prints one JSON
object. Without --model that is a random generator of the official size (128 px, 1,000 ImageNet classes). Seconds and
images a second depend on what else the machine does; the server's processor time for an image hardly does. Linux only:
memory and processor time are read from /proc.
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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from app.requests.sample import SampleRequest
from benchmarks.job import fresh_generator
from benchmarks.machine import process_bytes
from benchmarks.page_client import PageClient
from sngan_cond import GeneratorConfig
from sngan_cond.classes import imagenet_classes

SAMPLE_EVERY_S = 0.5
START_S = 60
MIB = 2**20
CLASSES = ["0", "1", "2", "3"]  # of the default set


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="as of python -m app (default: a random generator)")
    parser.add_argument("--resolution", type=int, default=128, help="of the random one in px (default: %(default)s)")
    parser.add_argument(
        "--count", type=int, default=SampleRequest.count, help="images of a class (default: the page's)"
    )
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8], help="at once (default: 1 8)")
    parser.add_argument("--robot", type=int, default=1000, help="requests of the robot (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=40.0, help="of each of these (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="as of python -m app (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = options.model
        if model is None:
            model = str(Path(folder) / "random")
            save_random_model(Path(model), options.resolution)
        with served(model, options.device, Path(folder) / "files") as server:
            figures = measure(server, options)
    text = json.dumps({"model": options.model or f"random, {options.resolution} px", **figures}, indent=2)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n")


def save_random_model(folder: Path, resolution: int) -> None:
    """Save an untrained generator of official width with ImageNet's classes; time and memory do not look at numbers."""
    names, ids = imagenet_classes()
    config = GeneratorConfig(resolution=resolution, num_classes=1000, class_names=names, class_ids=ids)
    fresh_generator(config).save_pretrained(folder)


class Server:
    """A process that serves the page, and how long it took to answer."""

    def __init__(self, pid: int, port: int, answering_s: float) -> None:
        self.pid = pid
        self.port = port
        self.answering_s = answering_s

    def cpu_s(self) -> float:
        """Return the processor time of all its threads so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def served(model: str, device: str, files: Path) -> Iterator[Server]:
    """Serve a model, from the moment when the page answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["-m", "app", "--model", model, "--port", str(port), "--no-browser", "--device", device]
    environment = os.environ | {"GRADIO_TEMP_DIR": str(files)}
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, *words], env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            _wait(f"http://127.0.0.1:{port}/")
            yield Server(process.pid, port, time.perf_counter() - started)
        finally:
            process.terminate()


def measure(server: Server, options: argparse.Namespace) -> dict[str, Any]:
    """Take all figures."""
    load_before = os.getloadavg()[0]
    memory = MemoryWatch(server.pid)
    client = PageClient(server.port)
    figures: dict[str, Any] = {
        "cores": len(os.sched_getaffinity(0)),
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
        "torch": torch.__version__,
        "load_average_before": round(load_before, 2),
        "page_answers_s": round(server.answering_s, 2),
        "first_image_s": round(client.ask(["0"], 1, seed=0)[0], 2),
        "default_set": {"classes": len(CLASSES), "count": options.count},
        "default_set_s": [round(client.ask(CLASSES, options.count, seed=seed)[0], 2) for seed in (1, 2, 3)],
        "one_more_s": round(client.ask(["2"], 1, seed=2)[0], 2),
        "memory_after_these_mib": memory.now_mib(),
        "load": [ask_at_once(server, memory, clients, options.seconds) for clients in options.clients],
        "person_alone": person(server, options),
    }
    for where, address in (("beside_a_robot", "127.0.0.2"), ("beside_a_robot_of_the_same_address", "127.0.0.1")):
        robot = Robot(server.port, options.robot, address)
        time.sleep(options.seconds / 10)  # until its requests fill the line
        figures[f"person_{where}"] = person(server, options)
        figures[f"person_{where}"]["robot"] = robot.stop()
    return figures | {"peak_memory_mib": memory.stop(), "load_average_after": round(os.getloadavg()[0], 2)}


def ask_at_once(server: Server, memory: "MemoryWatch", clients: int, seconds: float) -> dict[str, Any]:
    """Let visitors ask for one image after another without pause.

    Returns:
        Images a second, seconds of a request, the server's processor time, and memory from the start to the end.
    """
    taken: list[float] = []
    refused: Counter[str] = Counter()
    ready, stop = threading.Barrier(clients + 1), threading.Event()

    def ask(number: int) -> None:
        client, draw = PageClient(server.port), random.Random(number)
        ready.wait()
        while not stop.is_set():
            taken_s, refusal = client.ask([str(draw.randrange(4))], 1, seed=number)
            if refusal:
                refused[refusal] += 1
                time.sleep(0.5)
            else:
                taken.append(taken_s)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    ready.wait()
    memory.mark()
    cpu_s, started = server.cpu_s(), time.perf_counter()
    time.sleep(seconds)
    images, cpu_s, wall_s = len(taken), server.cpu_s() - cpu_s, time.perf_counter() - started
    stop.set()
    for thread in threads:
        thread.join()
    return {
        "clients": clients,
        "images_per_s": round(images / wall_s, 2),
        **_summary(taken),
        "refused": dict(refused),
        "server_cpu_ms_an_image": round(1000 * cpu_s / max(images, 1)),
        "server_cores_busy": round(cpu_s / wall_s, 2),
        "memory_by_quarter_mib": memory.means_since_mark_mib(),
    }


def person(server: Server, options: argparse.Namespace) -> dict[str, Any]:
    """Ask for the default set again and again, from 127.0.0.1."""
    client = PageClient(server.port)
    deadline = time.perf_counter() + options.seconds
    taken: list[float] = []
    refused: Counter[str] = Counter()
    while time.perf_counter() < deadline:
        taken_s, refusal = client.ask(CLASSES, options.count, seed=len(taken))
        if refusal:
            refused[refusal] += 1
            time.sleep(0.5)
        else:
            taken.append(taken_s)
    return {**_summary(taken), "refused": dict(refused)}


class Robot:
    """Sends requests for an image as fast as it can, all in one session, and another for each that is answered."""

    def __init__(self, port: int, requests: int, address: str) -> None:
        self._requests = requests
        self._outcomes: Counter[str] = Counter()
        self._stop = threading.Event()
        sender = PageClient(port, address=address)
        sender.join(["0"], 1, seed=0)  # before somebody reads the session's answers
        reader = PageClient(port, sender.session, address)
        works = [(self._send, sender), (self._read, reader)]
        self._threads = [threading.Thread(target=work, args=(client,)) for work, client in works]
        for thread in self._threads:
            thread.start()

    def stop(self) -> dict[str, int]:
        """Send no more, and wait for the answers; returns how many were answered while it sent, or refused and why."""
        self._stop.set()
        outcomes = dict(self._outcomes)
        for thread in self._threads:
            thread.join()
        return outcomes

    def _send(self, client: PageClient) -> None:
        for seed in range(self._requests):
            if self._stop.is_set():
                return
            client.join(["0"], 1, seed=seed)

    def _read(self, client: PageClient) -> None:
        for _, refusal in client.answers():
            self._outcomes[refusal or "answered"] += 1
            if not refusal and not self._stop.is_set():
                client.join(["1"], 1, seed=0)


class MemoryWatch:
    """Reads from a thread how much memory a process holds."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seen: list[int] = []  # bytes
        self._mark = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
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

    def means_since_mark_mib(self, count: int = 4) -> list[int]:
        """Return the mean of each of so many parts of the time since the mark; flat memory has them alike."""
        seen = self._seen[self._mark :]
        part = max(1, len(seen) // count)
        parts = [seen[i * part : (i + 1) * part] for i in range(count)]
        return [round(statistics.mean(part) / MIB) for part in parts if part]

    def stop(self) -> int:
        """Stop, and return the most that the process ever held, as the kernel counted it."""
        self._stop.set()
        self._thread.join()
        return process_bytes(self._pid, "VmHWM") // MIB


def _summary(seconds: list[float]) -> dict[str, Any]:
    if not seconds:
        return {"requests": 0}
    deciles = statistics.quantiles(seconds, n=10) if len(seconds) > 1 else seconds * 9
    return {"requests": len(seconds), "median_s": round(deciles[4], 2), "ninetieth_percentile_s": round(deciles[8], 2)}


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
