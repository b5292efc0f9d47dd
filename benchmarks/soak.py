"""Ask the page for twice what it can give, for ten minutes: `python -m benchmarks.soak`.

Requests come at a fixed rate, whether or not earlier ones are answered, from 60 addresses, each in a session of its own
(one in ten is broken off, and one in twenty malformed). What is reported: every kind of answer and how often it came,
seconds of those that were answered, memory in each tenth of the time, and whether the same seeds give the bytes that a
fresh process gave before. The model is a random generator of the official size, unless --model says another. Linux
only, as `benchmarks.page`.
"""

import argparse
import hashlib
import http.client
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import describe_machine
from benchmarks.page import MemoryWatch, Server, ask_at_once, save_random_model, served
from benchmarks.page_client import PageClient

ADDRESSES = 60
CAPACITY_CLIENTS = 8
THREADS = 1500  # requests under way at most: more than the page lets wait, so that it has to refuse
STACK_BYTES = 256 * 1024  # of one
IMAGES = [f"/sngan/image.png?class={label}&seed={seed}" for label in (0, 3) for seed in (1, 2)]
QUEUES_OWN = ("let some finish",)  # what the page says to one request too many
LEAVES, MALFORMED = 0.10, 0.05  # shares


def main() -> int:
    """Soak and print; returns 1 if anything but the queue refused a request, bytes changed, or memory grew."""
    parser = argparse.ArgumentParser(
        description=__doc__, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="as of python -m app (default: a random generator of 128 px)")
    parser.add_argument("--seconds", type=float, default=600.0, help="of the soak (default: %(default)s)")
    parser.add_argument("--times", type=float, default=2.0, help="capacity to ask for (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = options.model
        if model is None:
            model = str(Path(folder) / "random")
            save_random_model(Path(model), 128)
        with served(model, "auto", Path(folder) / "before") as server:
            before = bytes_of_images(server.port)
        with served(model, "auto", Path(folder) / "files") as server:
            figures = soak(server, options.seconds, options.times)
            figures["same_bytes"] = before == bytes_of_images(server.port) and "none" not in before
    machine = describe_machine(torch.device("cpu"))
    figures = {"model": options.model or "random, 128 px", **machine, **figures}
    text = json.dumps(figures, indent=2)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n")
    return int(bool(figures["other_errors"]) or not figures["same_bytes"] or abs(figures["memory_change"]) > 0.05)


def soak(server: Server, seconds: float, times: float) -> dict[str, Any]:
    """Measure the page's capacity, then ask for some times as much."""
    memory = MemoryWatch(server.pid)
    capacity = ask_at_once(server, memory, CAPACITY_CLIENTS, min(30.0, seconds / 4))["images_per_s"]
    crowd = Crowd(server.port)
    # Until what grows has its size: the line is full, and Gradio keeps a quarter of a MB for each of the last 1,000
    # sessions and for those that have waited longer.
    crowd.come(times * capacity, min(180.0, 0.3 * seconds))
    crowd.outcomes.clear()
    crowd.taken.clear()
    memory.mark()
    started = time.perf_counter()
    crowd.come(times * capacity, seconds)
    took_s = time.perf_counter() - started
    tenths = memory.means_since_mark_mib(10)
    peak = memory.stop()
    answered = len(crowd.taken)
    percentiles = statistics.quantiles(crowd.taken, n=100)
    return {
        "capacity_requests_per_s": capacity,
        "asked_per_s": round(times * capacity, 1),
        "seconds": round(took_s),
        "requests": sum(crowd.outcomes.values()),
        "outcomes": dict(crowd.outcomes),
        "other_errors": {why: n for why, n in crowd.outcomes.items() if _is_error(why)},
        "answered_per_s": round(answered / took_s, 1),
        "p50_s": round(percentiles[49], 2),
        "p95_s": round(percentiles[94], 2),
        "memory_by_tenth_mib": tenths,
        "memory_change": round(tenths[-1] / tenths[0] - 1, 3),
        "peak_memory_mib": peak,
    }


def _is_error(outcome: str) -> bool:
    return outcome not in ("answered", "left", "refused, as it should be") and not any(
        words in outcome for words in QUEUES_OWN
    )


class Crowd:
    """Visitors of many addresses, who ask at a rate and not when they are answered."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.outcomes: Counter[str] = Counter()
        self.taken: list[float] = []  # seconds of answered requests
        self._lock = threading.Lock()
        self._draw = random.Random(0)
        self._visitors = [PageClient(port, address=f"127.0.1.{number + 1}") for number in range(ADDRESSES)]

    def come(self, per_s: float, seconds: float) -> None:
        """Send requests for some seconds, then wait for the last answers."""
        started = time.perf_counter()
        threading.stack_size(STACK_BYTES)
        with ThreadPoolExecutor(THREADS) as pool:
            for number in range(int(per_s * seconds)):
                time.sleep(max(0.0, started + number / per_s - time.perf_counter()))
                pool.submit(self._ask, self._draw.random(), self._draw.randrange(2**31))

    def _ask(self, kind: float, seed: int) -> None:
        visitor = self._visitors[seed % ADDRESSES].another_session()
        try:
            if kind < LEAVES:
                visitor.leave(["0"], 1, seed=seed)
                outcome = "left"
            elif kind < LEAVES + MALFORMED:
                _, refusal = visitor.ask(["no such class"], 1, seed=seed)
                outcome = "refused, as it should be" if "no such class" in refusal else refusal or "answered, wrongly"
            else:
                seconds, refusal = visitor.ask([str(seed % 4)], 1, seed=seed)
                outcome = refusal or "answered"
                if not refusal:
                    self.taken.append(seconds)
        except KeyError:  # its stream ended without an answer under its id
            outcome = "no answer"
        except (OSError, http.client.HTTPException) as error:
            outcome = f"{type(error).__name__}: {error}"
        with self._lock:
            self.outcomes[" ".join("N" if word.isdigit() else word for word in outcome.split())] += 1


def bytes_of_images(port: int) -> list[str]:
    """Return the sha256 of some images."""
    digests = []
    for path in IMAGES:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", path)
        answer = connection.getresponse()
        digests.append(hashlib.sha256(answer.read()).hexdigest() if answer.status == http.client.OK else "none")
        connection.close()
    return digests


if __name__ == "__main__":
    sys.exit(main())
