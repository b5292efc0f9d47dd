"""Publishing: what is staged and sent, and a background publisher that nothing stops. Only the Hub is faked here."""

import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sngan_cond import Generator
from sngan_cond.loading import load_generator
from sngan_cond.sources import HubUnavailableError, PretrainedError
from tests.train.launch import run_here, tiny_command
from tests.train.published_run import METRICS, add_checkpoint
from train import publish, publishing
from train.cards import GENERIC, load_facts
from train.config import HubConfig
from train.errors import TrainError
from train.evaluation.report import weights_sha256
from train.publish import main
from train.publishing import NoPublisher, Publisher, open_publisher
from train.staging import stage, write_card

FILES = ["README.md", "config.json", "model.safetensors", "samples.png", "training.json"]


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    for step in (2, 4):
        add_checkpoint(tmp_path / "run", step)
    return tmp_path / "run"


class FakeHub:
    """Takes what is published; `answers` says for each attempt whether it fails, and how."""

    def __init__(self, answers: dict[int, Exception] | None = None) -> None:
        self.attempts: list[int] = []
        self.published: list[int] = []
        self.incomplete: list[int] = []
        self.answers = answers or {}
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


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    fake = FakeHub()
    monkeypatch.setattr(publishing, "publish_once", fake)
    return fake


def opened(run_dir: Path, **options: Any) -> tuple[Publisher, list[str]]:
    said: list[str] = []
    return Publisher(run_dir, "user/name", say=said.append, **{"pause_s": 0.01, **options}), said


def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("it did not come to pass within 10 s")


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


@pytest.mark.parametrize(
    "error", [HubUnavailableError("away"), PretrainedError("forbidden"), OSError(28, "full"), RuntimeError("odd")]
)
def test_failures_are_told_and_tried_again(run_dir: Path, hub: FakeHub, error: Exception) -> None:
    hub.answers = {1: error, 2: error}
    publisher, said = opened(run_dir)
    publisher.submit(run_dir / "checkpoints/step-00000002", 2)
    until(lambda: hub.published == [2])
    publisher.submit(run_dir / "checkpoints/step-00000004", 4)
    assert publisher.close()
    assert hub.attempts == [2, 2, 2, 4]
    assert sum(f"step 2 is not published yet: {error}" in line for line in said) == 2


def test_pauses_grow_until_a_step_is_sent(run_dir: Path, hub: FakeHub) -> None:
    hub.answers = {k: HubUnavailableError("away") for k in (*range(1, 7), 8)}
    publisher, said = opened(run_dir, pause_s=0.02)
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


def test_closing_does_not_wait_for_a_hub_that_is_away(run_dir: Path, hub: FakeHub) -> None:
    hub.answers = dict.fromkeys(range(1, 10_000), HubUnavailableError("away"))
    publisher, said = opened(run_dir)
    publisher.submit(run_dir / "checkpoints/step-00000002", 2)
    publisher.hurried_drain_s = 0.3
    start = time.monotonic()
    assert not publisher.close()
    assert 0.2 < time.monotonic() - start < 5
    assert "step 2" in said[-1]
    publisher._thread.join(10)
    assert not publisher._thread.is_alive()


def test_the_oldest_gives_way_when_too_many_wait(run_dir: Path, hub: FakeHub) -> None:
    hub.open.clear()
    publisher, said = opened(run_dir, waiting_max=2)
    for step in (2, 4, 6, 8):
        publisher.submit(add_checkpoint(run_dir, step), step)
    hub.answers = {1: HubUnavailableError("away")}  # step 2 was in hand; it is not tried again
    hub.open.set()
    assert publisher.close()
    assert hub.published == [6, 8]
    assert hub.incomplete == []  # also of step 2, which the thread held while it gave way
    assert sum("newer ones wait" in line for line in said) == 2


def test_a_kill_between_saving_and_publishing_skips_no_step(tiny_data: Path, tmp_path: Path, hub: FakeHub) -> None:
    command = tiny_command(tiny_data, tmp_path / "run")
    assert run_here(command) == 0  # saved, and nobody was told
    for _ in range(2):
        assert run_here([*command, "hub.repo=user/name"]) == 0
        assert hub.published == [6]


def test_a_run_that_has_reached_its_end_waits_for_the_hub(
    tiny_data: Path, tmp_path: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "HURRIED_DRAIN_S", 0.0)  # what is left to a machine that is taken away
    hub.open.clear()
    threading.Timer(2, hub.open.set).start()
    assert run_here(tiny_command(tiny_data, tmp_path / "run", "hub.repo=user/name")) == 0
    assert hub.published == [6]


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


def test_only_the_main_process_publishes_and_all_refuse_a_wrong_name(run_dir: Path) -> None:
    def say(line: str) -> None:
        raise AssertionError(line)

    assert isinstance(open_publisher(HubConfig(), run_dir, is_main=True, say=say), NoPublisher)
    silent = open_publisher(HubConfig(repo="user/name"), run_dir, is_main=False, say=say)
    assert isinstance(silent, NoPublisher)
    silent.submit(run_dir / "checkpoints/step-00000002", 2)
    silent.drain()
    assert silent.close()
    for is_main in (True, False):
        with pytest.raises(TrainError, match=r"hub\.repo='https"):
            open_publisher(HubConfig(repo="https://x/y"), run_dir, is_main=is_main, say=say)
    (run_dir / "published.json").write_text("{")
    with pytest.raises(TrainError, match=r"published\.json: cannot be read"):
        open_publisher(HubConfig(repo="user/name"), run_dir, is_main=True, say=say)


def test_staging_takes_the_step_s_own_files(run_dir: Path, tmp_path: Path) -> None:
    stage(run_dir / "checkpoints/step-00000002", tmp_path / "out", run_dir=run_dir, with_discriminator=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        {*FILES, "discriminator.safetensors"} - {"README.md"}
    )
    assert (tmp_path / "out/samples.png").read_bytes() == b"picture 2"
    assert json.loads((tmp_path / "out/training.json").read_text())["step"] == 2


def test_no_folder_of_the_machine_goes_out(run_dir: Path, tmp_path: Path) -> None:
    checkpoint = run_dir / "checkpoints/step-00000002"
    training = json.loads((checkpoint / "training.json").read_text())
    training["config"]["data"] = {"path": "/home/somebody/secret/pictures-32", "root": "data/pictures-32"}
    (checkpoint / "training.json").write_text(json.dumps(training))
    (tmp_path / "metrics.json").write_text(json.dumps({"metrics": [], "model": "C:\\Users\\somebody\\run"}))
    stage(checkpoint, tmp_path / "out", run_dir=run_dir, metrics=tmp_path / "metrics.json")
    sent = json.loads((tmp_path / "out/training.json").read_text())
    assert sent == training | {
        "config": training["config"] | {"data": {"path": "pictures-32", "root": "data/pictures-32"}}
    }
    assert json.loads((tmp_path / "out/metrics.json").read_text()) == {"metrics": [], "model": "run"}


def test_dry_run_shows_and_sends_nothing(run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    options = ["--run-dir", str(run_dir), "--repo", "user/name", "--dry-run"]
    before = sorted(run_dir.rglob("*"))
    assert main([*options, "--metrics", str(tmp_path / "metrics.json")]) == 0
    out = capsys.readouterr().out
    assert "one commit titled 'Step 4'" in out
    assert all(name in out for name in (*FILES, "metrics.json"))
    assert "| frechet\\_toy | 12.34 |" in out
    assert main([*options, "--checkpoint", "2"]) == 0
    assert "'Step 2'" in capsys.readouterr().out
    assert sorted(run_dir.rglob("*")) == before


def test_what_is_sent_by_hand_is_noted_under_its_branch(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a run that publishes to main still sends its own."""
    oids = iter(("a" * 40, "b" * 40, "c" * 40))
    monkeypatch.setattr(publish, "push_folder", lambda *_, **__: SimpleNamespace(oid=next(oids)))
    options = ["--run-dir", str(run_dir), "--repo", "user/name", "--checkpoint"]
    for step, branch in ((2, []), (4, ["--branch", "v1"]), (4, [])):
        assert main([*options, str(step), *branch]) == 0
    noted = json.loads((run_dir / "published.json").read_text())
    assert noted == {"user/name": {"2": "a" * 40, "4": "c" * 40}, "user/name@v1": {"4": "b" * 40}}


def test_a_model_folder_can_be_written_instead(run_dir: Path, tmp_path: Path) -> None:
    options = ["--run-dir", str(run_dir), "--out", str(tmp_path / "bundled"), "--with-discriminator"]
    assert main(options) == 0
    model = load_generator(tmp_path / "bundled")
    assert model.step == 4
    assert "from_pretrained('bundled')" in (model.card or "")
    assert main(options) == 2
    assert main(options[:2]) == 2


def test_metrics_of_other_weights_are_refused(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = weights_sha256(Generator.from_pretrained(run_dir / "checkpoints/step-00000002"))
    (tmp_path / "metrics.json").write_text(json.dumps({**METRICS, "model": {"weights_sha256": measured}}))
    options = [
        "--run-dir",
        str(run_dir),
        "--repo",
        "user/name",
        "--dry-run",
        "--metrics",
        str(tmp_path / "metrics.json"),
    ]
    assert main([*options, "--checkpoint", "2"]) == 0
    assert main([*options, "--checkpoint", "4"]) == 2
    assert "measured on other weights" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--repo", "https://hub/x"], "repo='https://hub/x': user/name is allowed"),
        (["--checkpoint", "3"], "--checkpoint 3: there is none of this step; there are 2, 4"),
        (["--run-dir", "nowhere"], "--run-dir nowhere: no run there"),
        (["--facts", "nowhere.yaml"], "--facts nowhere.yaml: cannot be read"),
        (["--metrics", "nowhere.json"], "nowhere.json: cannot be read"),
        (["--branch", "../x"], "revision='../x'"),
    ],
)
def test_mistakes_take_one_line(
    run_dir: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--run-dir", str(run_dir), "--repo", "user/name", "--dry-run", *options]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""
