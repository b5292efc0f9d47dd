"""A Hub without HTTP, in place of `publish_once`, and what the tests of the publisher do with it."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from sngan_cond.loading import load_generator
from train.publishing.cards import GENERIC, load_facts
from train.publishing.export import write_card
from train.publishing.publisher import Publisher


class FakeHub:
    """Takes what is published; `answers` says for each attempt whether it fails, and how."""

    def __init__(self, answers: dict[int, BaseException] | None = None) -> None:
        self.attempts: list[int] = []
        self.published: list[int] = []
        self.incomplete: list[int] = []
        self.answers: dict[int, BaseException] = answers or {}
        self.open = threading.Event()
        self.open.set()

    def __call__(self, folder: Path, step: int, **_: object) -> str:
        self.open.wait(20)
        self.attempts.append(step)
        if not {"config.json", "model.safetensors", "training.json"} <= {path.name for path in folder.glob("*")}:
            self.incomplete.append(step)
        if (error := self.answers.get(len(self.attempts))) is not None:
            raise error
        write_card(folder, repo="user/name", facts=load_facts(GENERIC))
        assert load_generator(folder).step == step
        self.published.append(step)
        return f"{step:040x}"


def opened(run_dir: Path) -> tuple[Publisher, list[str]]:
    said: list[str] = []
    return Publisher(run_dir, "user/name", log=said.append), said


def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("it did not come to pass within 10 s")
