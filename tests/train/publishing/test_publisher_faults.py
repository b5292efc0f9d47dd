"""What goes wrong in the publishing thread: each is told, and it goes on. Only the Hub is faked here."""

import errno
import itertools
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from sngan_cond.hub import weights
from sngan_cond.hub.files import HubUnavailableError, PretrainedError
from tests.train.publishing.fake_hub import FakeHub, opened, until
from train.publishing import log as publishing_log
from train.publishing import publisher as publishing
from train.publishing.export import export_checkpoint
from train.publishing.publisher import Publisher


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    fake = FakeHub()
    monkeypatch.setattr(publishing, "publish_once", fake)
    monkeypatch.setattr(publishing, "PAUSE_S", 0.01)
    return fake


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (HubUnavailableError("away"), "away"),
        (PretrainedError("forbidden"), "forbidden"),
        (OSError(28, "full"), "[Errno 28] full"),
        (RuntimeError("odd"), "odd"),
        (KeyError("commitOid"), "KeyError: 'commitOid'"),
        (AssertionError(), "AssertionError"),
        (SystemExit(3), "SystemExit: 3"),
        (TimeoutError("late"), "late"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_failures_are_told_and_tried_again(run_dir: Path, hub: FakeHub, error: Exception, words: str) -> None:
    hub.answers = {1: error, 2: error}
    publisher, said = opened(run_dir)
    publisher.submit(run_dir / "checkpoints/step-00000002", 2)
    until(lambda: hub.published == [2])
    publisher.submit(run_dir / "checkpoints/step-00000004", 4)
    assert publisher.close()
    assert hub.attempts == [2, 2, 2, 4]
    assert sum(f"step 2 is not published yet: {words}" in line for line in said) == 2


def test_a_publication_that_cannot_be_noted_is_told_and_tried_again(
    run_dir: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, full = publishing_log.write_text_atomically, threading.Event()
    full.set()

    def write_if_there_is_room(path: Path, text: str) -> None:
        if full.is_set():
            raise OSError(28, "No space left on device")
        write(path, text)

    monkeypatch.setattr(publishing_log, "write_text_atomically", write_if_there_is_room)
    publisher, said = opened(run_dir)
    publisher.submit(run_dir / "checkpoints/step-00000002", 2)
    until(lambda: any("step 2 is not published yet: [Errno 28]" in line for line in said))
    assert not publisher.close()
    assert "not published to user/name: step 2" in said[-1]
    full.clear()
    publisher, said = opened(run_dir)
    assert publisher.close()
    assert said == [f"step 2 published to user/name, commit {2:040x}"]
    assert set(hub.published) == {2}
    assert json.loads((run_dir / "published.json").read_text()) == {"user/name": {"2": f"{2:040x}"}}


def test_closing_does_not_wait_for_a_hub_that_is_away(
    run_dir: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "HURRIED_DRAIN_S", 0.3)
    hub.answers = dict.fromkeys(range(1, 10_000), HubUnavailableError("away"))
    publisher, said = opened(run_dir)
    publisher.submit(run_dir / "checkpoints/step-00000002", 2)
    start = time.monotonic()
    assert not publisher.close()
    assert 0.2 < time.monotonic() - start < 5
    assert "step 2" in said[-1]
    publisher._thread.join(10)
    assert not publisher._thread.is_alive()


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "training.json"])
def test_an_export_that_no_hub_would_take_is_named_and_removed(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """As the file of a folder that a power cut left, and whose steps after it would wait for ever."""
    outbox = run_dir / "outbox/user--name"
    for step in (2, 4):
        export_checkpoint(run_dir / f"checkpoints/step-{step:08d}", outbox / f"step-{step:08d}", run_dir=run_dir)
    (outbox / "step-00000002" / name).unlink()
    (outbox / "step-00000002" / name).write_bytes(b"")
    monkeypatch.setattr(publishing_log, "find_commit", lambda *_, **__: None)
    monkeypatch.setattr(publishing_log, "push_folder", lambda *_, **__: SimpleNamespace(oid="a" * 40))
    publisher, said = opened(run_dir)
    assert publisher.close()
    assert said[0].startswith("step 2 is not published: ")
    assert name in said[0]
    assert said[1:] == [f"step 4 published to user/name, commit {'a' * 40}"]
    assert list(outbox.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "code"),
    [("model.safetensors", errno.EIO), ("config.json", errno.ESTALE), ("training.json", errno.EACCES)],
)
def test_what_cannot_be_read_now_is_told_and_tried_again(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    folder = run_dir / "outbox/user--name/step-00000002"
    export_checkpoint(run_dir / "checkpoints/step-00000002", folder, run_dir=run_dir)
    tries = itertools.count()

    def failing_once(real: Callable[..., object]) -> Callable[..., object]:
        def call(path: object, *args: object, **options: object) -> object:
            if str(path) == str(folder / name) and next(tries) == 0:
                raise OSError(code, os.strerror(code), str(path))
            return real(path, *args, **options)

        return call

    for owner, function in ((Path, "open"), (weights, "check_regular")):
        monkeypatch.setattr(owner, function, failing_once(getattr(owner, function)))
    monkeypatch.setattr(publishing, "PAUSE_S", 0.01)
    monkeypatch.setattr(publishing_log, "find_commit", lambda *_, **__: None)
    monkeypatch.setattr(publishing_log, "push_folder", lambda *_, **__: SimpleNamespace(oid="a" * 40))
    publisher, said = opened(run_dir)
    until(lambda: len(said) == 2)
    assert publisher.close()
    reason = f"{folder / name}: cannot be read now ({os.strerror(code)}), which may pass; next try in"
    assert said[0].startswith(f"step 2 is not published yet: {reason}")
    assert said[1] == f"step 2 published to user/name, commit {'a' * 40}"


def test_a_disk_that_fails_ends_neither_a_save_nor_a_run(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    publisher, said = opened(run_dir)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "exists", failing)
        patch.setattr(publishing, "saved_steps", failing)
        publisher.submit(run_dir / "checkpoints/step-00000002", 2)
        assert not publisher.close()
    reason = "the outbox cannot be read: [Errno 5] Input/output error"
    assert "step 2 is not published: [Errno 5] Input/output error" in said
    assert said[-2:] == [reason, f"what is not published to user/name yet is not known: {reason}"]


def test_a_disk_or_a_terminal_that_fails_does_not_end_publishing(
    run_dir: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    failing = threading.Event()

    def saved_steps(root: Path) -> list[int]:
        if failing.is_set() and threading.current_thread().name == "publisher":
            raise OSError(5, "Input/output error")
        return publishing.checkpoint_steps(root)  # type: ignore[attr-defined]

    def say(line: str) -> None:
        said.append(line)
        raise BrokenPipeError

    monkeypatch.setattr(publishing, "checkpoint_steps", publishing.saved_steps, raising=False)
    monkeypatch.setattr(publishing, "saved_steps", saved_steps)
    publisher = Publisher(run_dir, "user/name", log=say)
    failing.set()
    publisher.submit(run_dir / "checkpoints/step-00000002", 2)
    until(lambda: bool(said))
    failing.clear()
    until(lambda: hub.published == [2])
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "export_checkpoint", lambda *_, **__: {}["x"])
        publisher.submit(run_dir / "checkpoints/step-00000004", 4)
    assert publisher.close()
    assert said[0].startswith("the outbox cannot be read: [Errno 5] Input/output error; next try")
    assert "step 4 is not published: KeyError: 'x'" in said
