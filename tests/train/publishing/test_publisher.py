"""Publishing during a run, which nothing stops. Only the Hub is faked here."""

import json
import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from sngan_cond.hub.files import HubUnavailableError, PretrainedError
from tests.train.launch import run_here, tiny_command
from tests.train.publishing.fake_hub import FakeHub, opened, until
from tests.train.publishing.published_run import add_checkpoint
from train.publishing import publisher as publishing
from train.publishing.export import export_checkpoint
from train.publishing.publisher import Publisher, forget_published


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    fake = FakeHub()
    monkeypatch.setattr(publishing, "publish_once", fake)
    monkeypatch.setattr(publishing, "PAUSE_S", 0.01)
    return fake


def test_steps_are_sent_in_order_while_their_checkpoints_vanish(run_dir: Path, hub: FakeHub) -> None:
    hub.open.clear()
    publisher, said = opened(run_dir)
    for step in (2, 4):
        folder = run_dir / "checkpoints" / f"step-{step:08d}"
        publisher.submit(folder, step)
        shutil.rmtree(folder)
    hub.open.set()
    publisher.drain()
    assert hub.published == [2, 4]
    assert publisher.close()
    assert [line.split(" published")[0] for line in said] == ["step 2", "step 4"]
    assert json.loads((run_dir / "published.json").read_text()) == {"user/name": {"2": f"{2:040x}", "4": f"{4:040x}"}}
    assert not list((run_dir / "outbox").rglob("*.safetensors"))


def test_no_step_is_sent_twice(run_dir: Path, hub: FakeHub) -> None:
    for _ in range(2):
        publisher, _said = opened(run_dir)
        publisher.submit(run_dir / "checkpoints/step-00000002", 2)
        publisher.submit(run_dir / "checkpoints/step-00000002", 2)
        assert publisher.close()
    assert hub.published == [2]


def test_steps_that_a_run_takes_again_are_sent_again(run_dir: Path, hub: FakeHub) -> None:
    def sent(*steps: int) -> None:
        publisher, _said = opened(run_dir)
        for step in steps:
            publisher.submit(run_dir / f"checkpoints/step-{step:08d}", step)
        assert publisher.close()

    sent(2, 4)
    forget_published(run_dir, 2)
    sent(2, 4)
    assert hub.published == [2, 4, 4]


def test_pauses_grow_until_a_step_is_sent(run_dir: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "PAUSE_S", 0.02)
    hub.answers = {k: HubUnavailableError("away") for k in (*range(1, 7), 8)}
    publisher, said = opened(run_dir)
    start = time.monotonic()
    publisher.submit(run_dir / "checkpoints/step-00000002", 2)
    until(lambda: hub.published == [2])
    # Six pauses of at least half of 0.02 s times 1, 2, ..., 32; without growth they would last 0.06 s to 0.12 s.
    assert 0.63 <= time.monotonic() - start < 5
    publisher.submit(run_dir / "checkpoints/step-00000004", 4)
    until(lambda: hub.published == [2, 4])
    assert publisher.close()
    (again,) = [line for line in said if line.startswith("step 4 is not published yet")]
    assert again.endswith("next try in 0 s")  # not in 1.28 s times chance, as after the seventh in a row


def test_what_the_hub_did_not_take_goes_first_after_a_new_start(run_dir: Path, hub: FakeHub) -> None:
    hub.answers = dict.fromkeys(range(1, 10_000), PretrainedError("forbidden"))
    publisher, said = opened(run_dir)
    publisher.submit(run_dir / "checkpoints/step-00000002", 2)
    until(lambda: len(hub.attempts) > 1)
    assert not publisher.close()
    assert "not published to user/name: step 2" in said[-1]
    assert "python -m train.publish" in said[-1]
    hub.answers = {}
    publisher, _said = opened(run_dir)
    publisher.submit(run_dir / "checkpoints/step-00000004", 4)
    assert publisher.close()
    assert hub.published == [2, 4]


def test_an_export_that_a_kill_cut_off_is_no_step(run_dir: Path, hub: FakeHub) -> None:
    half = run_dir / "outbox/user--name/.step-00000002.x1y2/step-00000002"
    half.mkdir(parents=True)
    (half / "model.safetensors").write_bytes(b"half")
    publisher, _said = opened(run_dir)
    assert publisher.close()
    assert hub.attempts == []
    assert not half.exists()


def test_the_oldest_gives_way_when_too_many_wait(run_dir: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "WAITING_MAX", 2)
    hub.open.clear()
    publisher, said = opened(run_dir)
    for step in (2, 4, 6, 8):
        publisher.submit(add_checkpoint(run_dir, step), step)
    hub.answers = {1: HubUnavailableError("away")}  # step 2 was in hand; it is not tried again
    hub.open.set()
    assert publisher.close()
    assert hub.published == [6, 8]
    assert hub.incomplete == []  # also of step 2, which the thread held while it gave way
    assert sum("newer ones wait" in line for line in said) == 2


def test_a_folder_of_which_a_part_cannot_be_removed_holds_nothing_up(
    run_dir: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remove_one_file(folder: Path, **_: object) -> None:
        next(folder.glob("*.safetensors")).unlink()

    monkeypatch.setattr(publishing, "WAITING_MAX", 2)
    hub.open.clear()
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "shutil", SimpleNamespace(rmtree=remove_one_file))
        publisher, _said = opened(run_dir)
        for step in (2, 4, 6, 8):  # 4 gives way
            publisher.submit(add_checkpoint(run_dir, step), step)
        hub.open.set()
        assert publisher.close()
    assert hub.published == [2, 6, 8]
    assert hub.incomplete == []
    assert opened(run_dir)[0].close()
    assert list((run_dir / "outbox/user--name").iterdir()) == []


def test_a_new_start_sends_all_that_wait_and_removes_what_was_sent(run_dir: Path, hub: FakeHub) -> None:
    """A kill leaves one step that was being sent beside those that waited, and may leave one that was sent."""
    outbox = run_dir / "outbox/user--name"
    for step in (1, 2, 4, 6, 8, 10):
        export_checkpoint(add_checkpoint(run_dir, step), outbox / f"step-{step:08d}", run_dir=run_dir)
    (outbox / "step-00000010 (copy)").mkdir()
    (run_dir / "published.json").write_text(json.dumps({"user/name": {"1": f"{1:040x}"}}))
    publisher, said = opened(run_dir)
    assert publisher.close()
    assert hub.published == [2, 4, 6, 8, 10]
    assert not any("newer ones wait" in line for line in said)
    assert [path.name for path in outbox.iterdir()] == ["step-00000010 (copy)"]


def test_more_than_may_wait_give_way_after_a_failure(run_dir: Path, hub: FakeHub) -> None:
    outbox = run_dir / "outbox/user--name"
    for step in (2, 4, 6, 8, 10):
        export_checkpoint(add_checkpoint(run_dir, step), outbox / f"step-{step:08d}", run_dir=run_dir)
    hub.answers = {1: HubUnavailableError("away")}
    publisher, said = opened(run_dir)
    assert publisher.close()
    assert hub.attempts == [2, 4, 6, 8, 10]
    assert hub.published == [4, 6, 8, 10]
    assert said[0] == "step 2 is not published: newer ones wait and the Hub does not take them"
    assert said[1].startswith("the last try of step 2 failed: away; next try in")


def test_a_start_with_all_that_may_wait_drops_none(run_dir: Path, hub: FakeHub) -> None:
    """It hands over its newest checkpoint before the thread has asked the Hub for anything."""
    outbox = run_dir / "outbox/user--name"
    for step in (1, 2, 3, 4, 6):
        export_checkpoint(add_checkpoint(run_dir, step), outbox / f"step-{step:08d}", run_dir=run_dir)
    hub.open.clear()
    publisher, said = opened(run_dir)
    publisher.submit(add_checkpoint(run_dir, 8), 8)
    hub.open.set()
    assert publisher.close()
    assert hub.published == [1, 2, 3, 4, 6, 8]
    assert len(said) == 6


@pytest.mark.slow
def test_a_kill_between_saving_and_publishing_skips_no_step(tiny_data: Path, tmp_path: Path, hub: FakeHub) -> None:
    command = tiny_command(tiny_data, tmp_path / "run")
    assert run_here(command) == 0  # saved, and nobody was told
    for _ in range(2):
        assert run_here([*command, "hub.repo=user/name"]) == 0
        assert hub.published == [6]


@pytest.mark.slow
def test_a_run_that_has_reached_its_end_waits_for_the_hub(
    tiny_data: Path, tmp_path: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Hub answers half a second after the run began to wait."""
    monkeypatch.setattr(publishing, "HURRIED_DRAIN_S", 0.0)  # what is left to a machine that is taken away
    finish = Publisher._finish

    def waiting(publisher: Publisher, timeout_s: float) -> None:
        threading.Timer(0.5, hub.open.set).start()
        finish(publisher, timeout_s)

    monkeypatch.setattr(Publisher, "_finish", waiting)
    hub.open.clear()
    assert run_here(tiny_command(tiny_data, tmp_path / "run", "hub.repo=user/name")) == 0
    assert hub.published == [6]


@pytest.mark.slow
def test_every_publication_is_of_its_own_step(tiny_data: Path, tmp_path: Path, hub: FakeHub) -> None:
    """Also where no checkpoint would be due: the stand-in refuses a folder that says another step."""
    assert run_here(tiny_command(tiny_data, tmp_path / "run", "hub.repo=user/name", "hub.every=3", "save_every=4")) == 0
    assert hub.published == [3, 6]


def test_a_damaged_checkpoint_is_told_and_not_sent(run_dir: Path, hub: FakeHub) -> None:
    weights = run_dir / "checkpoints/step-00000002/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    publisher, said = opened(run_dir)
    publisher.submit(run_dir / "checkpoints/step-00000002", 2)
    publisher.submit(run_dir / "checkpoints/step-00000003", 3)
    assert publisher.close()
    assert hub.attempts == []
    assert "damaged" in said[0]
    assert "step 3 is not published" in said[1]
