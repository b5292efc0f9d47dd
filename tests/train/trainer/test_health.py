"""What follows when a run is not well: it says so once, stops, or goes back and goes on at half the rates."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from tests.train.launch import logged, run_here, tiny_command, weights
from tests.train.run.taken_over import STEPS, another_begins
from train.monitor.symptoms import Symptom
from train.run.run import Run
from train.trainer import health

SHORT = ("steps=4", "decay_from=null", "log_every=1", "save_every=100", "sample_every=100")


def watch_for(monkeypatch: pytest.MonkeyPatch, seen: Callable[[float], bool]) -> None:
    """Have runs watched for G's learning rate alone, which their rollbacks change."""

    def wrong(n: Mapping[str, float]) -> str | None:
        return f"{n['lr_g']:g}" if seen(n["lr_g"]) else None

    symptom = Symptom("the rate is wrong", "mend it", ("lr_g",), wrong, lasts=0)
    monkeypatch.setattr(health, "symptoms_of", lambda _: {"rate": symptom})
    monkeypatch.setattr(health, "FIRST_LOOK", 1)


@pytest.fixture
def too_hot(monkeypatch: pytest.MonkeyPatch) -> None:
    watch_for(monkeypatch, lambda rate: rate > 1.2e-4)  # the preset's is 2e-4


def checkpoints(run_dir: Path) -> list[int]:
    return sorted(int(path.name[5:]) for path in (run_dir / "checkpoints").iterdir())


def record(run_dir: Path) -> dict[str, list[dict[str, object]]]:
    return json.loads((run_dir / "health.json").read_text())  # type: ignore[no-any-return]


def same_bits(a: Path, b: Path, step: int) -> None:
    left, right = (weights(run_dir / f"checkpoints/step-{step:08d}") for run_dir in (a, b))
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.slow
@pytest.mark.usefixtures("too_hot")
def test_a_run_that_went_back_is_one_at_half_the_rates(
    tmp_path: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """To the bit, though the other is not looked at; it went back to its beginning, for it was never well."""
    assert run_here(tiny_command(tiny_data, tmp_path / "back", *SHORT, "monitor.action=rollback")) == 0
    said = capsys.readouterr().out
    assert "step 3: the rate is wrong since step 1: 0.0002. What usually helps: mend it\n" in said
    assert "step 3: back to step 0, learning rates x 0.5 (rollback 1 of 3)\n" in said
    half = ("optim_g.lr=1e-4", "optim_d.lr=1e-4", "monitor.action=off")
    assert run_here(tiny_command(tiny_data, tmp_path / "half", *SHORT, *half)) == 0
    same_bits(tmp_path / "back", tmp_path / "half", 4)
    assert not (tmp_path / "half/health.json").exists()
    assert [line["lr_d"] for line in logged(tmp_path / "back")] == [1e-4] * 4
    assert "monitor/diversity" in logged(tmp_path / "back")[0]
    assert record(tmp_path / "back")["rollbacks"] == [{"step": 3, "to": 0, "because": ["rate"]}]
    assert json.loads((tmp_path / "back/training.json").read_text())["rollbacks"] == 1


@pytest.mark.usefixtures("too_hot")
def test_a_run_that_goes_back_leaves_alone_what_another_has_begun_in_its_folder(
    tmp_path: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    other = another_begins(folder, monkeypatch, at=2)
    assert run_here(tiny_command(tiny_data, folder, *SHORT, "monitor.action=rollback")) == 2
    other.release()
    assert f"error: --run-dir {folder}: another process trains in it\n" in capsys.readouterr().err
    assert checkpoints(folder) == STEPS


@pytest.mark.usefixtures("too_hot")
def test_a_run_that_stops_saves_and_says_so(
    tmp_path: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_here(tiny_command(tiny_data, tmp_path, *SHORT, "monitor.action=stop")) == 3
    said = capsys.readouterr().out
    assert said.count("the rate is wrong since step 1: 0.0002") == 1
    assert "stopped by monitor.action=stop" in said
    assert said.endswith("the run is not well: the rate is wrong since step 1. Last healthy checkpoint: none\n")
    assert checkpoints(tmp_path) == [3]
    (noted,) = record(tmp_path)["findings"]
    assert (noted["step"], noted["since"], noted["gone"]) == (3, 1, None)


@pytest.mark.slow
@pytest.mark.usefixtures("too_hot")
def test_a_run_that_stopped_goes_on_when_told_and_says_nothing_twice(
    tmp_path: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tiny_command(tiny_data, tmp_path, *SHORT, "monitor.action=stop")
    assert run_here(command) == 3
    capsys.readouterr()
    assert run_here(command) == 3
    assert [line["step"] for line in logged(tmp_path)] == [1, 2, 3]
    assert run_here(tiny_command(tiny_data, tmp_path, *SHORT)) == 3
    said = capsys.readouterr().out
    assert said.count("step 3: not well when it was saved: the rate is wrong since step 1\n") == 2
    assert said.count("since step 1: 0.0002") == 0
    assert said.count("the run is not well: the rate is wrong since step 1") == 2
    assert checkpoints(tmp_path) == [3, 4]
    monkeypatch.setattr(Run, "should_stop", lambda run: setattr(run, "asked_to_stop", True) or True)
    assert run_here(tiny_command(tiny_data, tmp_path, *SHORT, "steps=5")) == 0  # whoever sends a signal knows why


@pytest.mark.slow
def test_the_last_healthy_checkpoint_is_kept_and_gone_back_to_three_times(
    tmp_path: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rate falls on a line, below the limit from step 4 on; half of it is below from the beginning."""
    watch_for(monkeypatch, lambda rate: rate < 1.3e-4)
    falls = (*SHORT, "steps=8", "decay_from=0", "save_every=1")
    warned = tiny_command(tiny_data, tmp_path / "warned", *falls)
    assert run_here(warned) == 3
    assert checkpoints(tmp_path / "warned") == [3, 7, 8]
    assert capsys.readouterr().out.endswith(f"healthy checkpoint: {tmp_path}/warned/checkpoints/step-00000003\n")
    back = tiny_command(tiny_data, tmp_path / "back", *falls, "monitor.action=rollback")
    assert run_here(back) == 3
    assert record(tmp_path / "back")["rollbacks"] == [{"step": 6, "to": 3, "because": ["rate"]}] * 3
    assert checkpoints(tmp_path / "back") == [3, 5, 6]
    rates = [2e-4 * (1 - step / 8) for step in range(6)]
    halved = [*rates[:3], *(rate / 8 for rate in rates[3:])]
    assert [line["lr_g"] for line in logged(tmp_path / "back")] == pytest.approx(halved, rel=1e-12)

    command = tiny_command(tiny_data, tmp_path / "killed", *falls, "monitor.action=rollback")

    class KilledError(Exception):
        pass

    def killed(method: str, when: Callable[[Run], bool]) -> None:
        original = getattr(Run, method)

        def dies(run: Run, *args: object) -> object:
            result = original(run, *args)
            if when(run):
                raise KilledError
            return result

        with monkeypatch.context() as patch:
            patch.setattr(Run, method, dies)
            with pytest.raises(KilledError):
                run_here(command)

    killed("forget_after", lambda _: True)  # before the rollback is noted: its run sees the same again
    assert not record(tmp_path / "killed")["rollbacks"]
    killed("should_stop", lambda run: len(logged(run.folder)) == 5 and len(record(run.folder)["rollbacks"]) == 2)
    assert run_here(command) == 3
    same_bits(tmp_path / "back", tmp_path / "killed", 6)
    assert record(tmp_path / "killed") == record(tmp_path / "back")
