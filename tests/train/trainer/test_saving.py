"""Checkpoints are written while a run goes on: what waits for them, and what they hold."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from pathlib import Path
from threading import Event, current_thread, main_thread
from types import MethodType

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sngan_cond import ConstraintConfig, Discriminator
from tests.full_disk import files_of_at_most
from tests.train.launch import logged, run_here, tiny_command, weights
from train.run.checkpoint import save_checkpoint
from train.run.run import Run
from train.trainer import loop, samples, scoring, state
from train.trainer.state import Networks
from train.trainer.update import Updates

OFTEN = ("steps=4", "save_every=1", "log_every=1", "sample_every=100", "keep_checkpoints=9")


def checkpoint(run_dir: Path, step: int) -> Path:
    return run_dir / f"checkpoints/step-{step:08d}"


@pytest.fixture
def after_each_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], None]], None]:
    """Have a function called with the number of each step, once it was taken and before it is saved."""

    def install(function: Callable[[int], None]) -> None:
        steps, should_stop = iter(range(1, 100)), Run.should_stop

        def called(run: Run) -> bool:
            function(next(steps))
            return should_stop(run)

        monkeypatch.setattr(Run, "should_stop", called)

    return install


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing a checkpoint takes longer than a step."""

    def slow(*args: object, **options: object) -> Path:
        time.sleep(0.1)
        return save_checkpoint(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(state, "save_checkpoint", slow)


@pytest.mark.slow
def test_a_checkpoint_holds_its_own_step_though_training_went_on(
    tmp_path: Path,
    tiny_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    after_each_step: Callable[[Callable[[int], None]], None],
) -> None:
    assert run_here(tiny_command(tiny_data, tmp_path / "straight", *OFTEN)) == 0
    taken = [Event() for _ in range(5)]

    def held(root: Path, *, state: dict[str, int], **options: object) -> Path:
        if state["step"] < 4:
            assert taken[state["step"] + 1].wait(60), "training waits for the disk"
        return save_checkpoint(root, state=state, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(state, "save_checkpoint", held)
    after_each_step(lambda step: taken[step].set())
    assert run_here(tiny_command(tiny_data, tmp_path / "held", *OFTEN)) == 0
    for step in range(1, 5):
        one, other = (weights(checkpoint(tmp_path / name, step)) for name in ("straight", "held"))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one), step
    assert checkpoint(tmp_path / "held", 4) == (D := Discriminator.from_pretrained(tmp_path / "held")).provenance.folder
    saved = checkpoint(tmp_path / "straight", 4) / "discriminator.safetensors"
    assert (checkpoint(tmp_path / "held", 4) / saved.name).read_bytes() == saved.read_bytes()
    assert D.constraint == ConstraintConfig()
    assert all(torch.equal(tensor, D.state_dict()[name]) for name, tensor in load_file(saved).items())


class _Publisher:
    """Notes what a run asks of its publisher."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.run: Run

    def opened(self, *_: object, log: MethodType, **__: object) -> "_Publisher":
        self.run = log.__self__  # type: ignore[assignment]
        return self

    def submit(self, checkpoint: Path, step: int) -> None:
        assert (checkpoint / "state.json").exists()
        assert current_thread() is not main_thread(), "training waits"
        self.events.append(f"submit {step}")

    def drain(self) -> None:
        self.events.append("drain")

    def close(self) -> None:
        self.events.append(f"close, {self.run.watch._own.long_work}")  # which the other processes wait for


@pytest.mark.slow
def test_a_publication_finds_the_grid_of_its_step(
    tmp_path: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though a grid takes longer to encode than a checkpoint to write."""
    save_png, grids = samples.save_png, list[list[str]]()

    def slow(image: torch.Tensor, path: Path) -> None:
        time.sleep(0.3)
        save_png(image, path)

    class Looking(_Publisher):
        def submit(self, checkpoint: Path, step: int) -> None:
            grids.append(sorted(path.name for path in (tmp_path / "samples").iterdir()))

    monkeypatch.setattr(samples, "save_png", slow)
    monkeypatch.setattr(loop, "open_publisher", Looking().opened)
    command = tiny_command(tiny_data, tmp_path, *OFTEN, "hub.repo=alice/tiny", "hub.every=2")
    assert run_here(command) == 0
    names = [f"step-{step:08d}.png" for step in (0, 2, 4)]
    assert grids == [names[:2], names]


@pytest.mark.slow
@pytest.mark.usefixtures("slow_disk")
@pytest.mark.parametrize("status", [0, 130])
def test_what_is_published_is_whole_and_all_is_handed_over_before_the_end(
    tmp_path: Path,
    tiny_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    after_each_step: Callable[[Callable[[int], None]], None],
    status: int,
) -> None:
    def interrupt(step: int) -> None:
        if status and step == 3:
            raise KeyboardInterrupt

    publisher = _Publisher()
    monkeypatch.setattr(loop, "open_publisher", publisher.opened)
    after_each_step(interrupt)
    assert run_here(tiny_command(tiny_data, tmp_path, *OFTEN, "hub.repo=alice/tiny", "hub.every=2")) == status
    assert publisher.events == ["submit 2", *([] if status else ["submit 4", "drain"]), "close, publishing"]
    assert not list((tmp_path / "checkpoints").glob(".*"))


@pytest.mark.usefixtures("slow_disk")
def test_a_run_that_is_stopped_names_its_model_once_it_is_whole(
    tmp_path: Path,
    tiny_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    after_each_step: Callable[[Callable[[int], None]], None],
) -> None:
    lines: list[str] = []

    def noted(_: Run, line: str) -> None:
        lines.append(line)
        assert "model:" not in line or checkpoint(tmp_path, 2).exists()

    monkeypatch.setattr(Run, "print", noted)
    after_each_step(lambda step: os.kill(os.getpid(), signal.SIGTERM) if step == 2 else None)
    assert run_here(tiny_command(tiny_data, tmp_path, *OFTEN)) == 0
    assert f"model: {checkpoint(tmp_path, 2)}" in lines[-1]


@pytest.mark.usefixtures("slow_disk")
def test_a_loss_that_is_not_finite_names_the_checkpoint_that_was_being_written(
    tmp_path: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found, save = dict[str, int](), Networks.save

    def save_the_last_good_one(networks: Networks, step: int, **options: int) -> None:
        save(networks, step, **options)
        if step == 2:
            found["D"] = 2

    monkeypatch.setattr(Networks, "save", save_the_last_good_one)
    monkeypatch.setattr(Updates, "first_nonfinite_step", lambda _: found)
    assert run_here(tiny_command(tiny_data, tmp_path, *OFTEN)) == 2
    assert f"Last good checkpoint: {checkpoint(tmp_path, 2)}. Lower" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("slow_disk")
def test_a_step_is_scored_once_no_kill_can_take_it_back(
    tmp_path: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[int] = []

    class Scores:
        def __init__(self, *_: object) -> None:
            pass

        def score(self, _: Networks, step: int, *, images_seen: int) -> None:
            assert checkpoint(tmp_path, step).exists()
            scored.append(step)

    monkeypatch.setattr(scoring, "EvaluationCallback", Scores)
    assert run_here(tiny_command(tiny_data, tmp_path, *OFTEN, "evaluation.every=2")) == 0
    assert scored == [2, 4]


@pytest.mark.parametrize(("full_at", "status", "kept"), [(2, 0, [4]), (4, 2, [2])])
def test_a_refused_checkpoint_is_said_and_the_next_save_tries_again(
    tmp_path: Path,
    tiny_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    full_at: int,
    status: int,
    kept: list[int],
) -> None:
    """The last one of a run has no next."""

    def full(root: Path, *, state: dict[str, int], **options: object) -> Path:
        with files_of_at_most(5_000) if state["step"] == full_at else nullcontext():
            return save_checkpoint(root, state=state, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(state, "save_checkpoint", full)
    assert run_here(tiny_command(tiny_data, tmp_path, *OFTEN, "save_every=2")) == status
    out, err = capsys.readouterr()
    refused = f"{checkpoint(tmp_path, full_at)}: the checkpoint cannot be saved ("
    newest = checkpoint(tmp_path, 2) if status else "none yet"
    assert f"warning: {refused}" in out
    assert f"File too large (os error 27)); the newest one is {newest}; if the run goes on, its next save" in out
    assert (f"{checkpoint(tmp_path, 4)}: saved, as the one before was not\n" in out) == (not status)
    assert (f"error: {refused}" in err) == bool(status)
    assert ("model:" in out) == (not status)
    assert [line["step"] for line in logged(tmp_path)] == [1, 2, 3, 4]
    assert list((tmp_path / "checkpoints").iterdir()) == [checkpoint(tmp_path, step) for step in kept]


MANY = (*OFTEN[2:], "sample_every=1", "steps=6", "save_every=3", "trackers=[tensorboard]")


def test_a_full_disk_between_saves_costs_nothing_but_pictures(
    tmp_path: Path,
    tiny_data: Path,
    capsys: pytest.CaptureFixture[str],
    after_each_step: Callable[[Callable[[int], None]], None],
) -> None:
    disk, log = ExitStack(), tmp_path / "scalars.jsonl"

    def fill(step: int) -> None:
        if step == 2:
            disk.enter_context(files_of_at_most(log.stat().st_size + 10))  # the next line is cut
        if step == 4:
            disk.close()

    after_each_step(fill)
    assert run_here(tiny_command(tiny_data, tmp_path, *MANY)) == 0
    out = capsys.readouterr().out
    for what in (f"{tmp_path / 'scalars.jsonl'}", f"{tmp_path / 'samples'}", "tracker tensorboard"):
        assert out.count(f"warning: {what}: cannot be written (File too large") == 1
        assert out.count(f"{what}: is written again") == 1
    assert out.count("warning: ") == 4  # of the checkpoint, too
    assert [line["step"] for line in logged(tmp_path)] == [1, 2, 3, 4, 5, 6]
    events = EventAccumulator(str(tmp_path / "trackers" / tmp_path.name)).Reload()
    assert [event.step for event in events.Scalars("lr_g")] == [1, 2, 3, 4, 5, 6]
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000006"]
    assert not list(tmp_path.rglob(".step-*"))


@pytest.mark.slow
def test_a_folder_that_was_removed_comes_back_with_the_next_checkpoint(
    tmp_path: Path,
    tiny_data: Path,
    capsys: pytest.CaptureFixture[str],
    after_each_step: Callable[[Callable[[int], None]], None],
) -> None:
    folder = tmp_path / "run"
    after_each_step(lambda step: shutil.rmtree(folder) if step == 4 else None)
    command = tiny_command(tiny_data, folder, *MANY)
    assert run_here(command) == 0
    out = capsys.readouterr().out
    assert f"warning: {folder / 'scalars.jsonl'}: cannot be written (No such file or directory); the run goes on" in out
    assert out.count(f"warning: {folder}: was removed; it is made again, without what it held\n") == 1
    assert [line["step"] for line in logged(folder)] == [5, 6]
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step-00000006"]
    assert {"config.yaml", ".lock", "training.json"} <= {path.name for path in folder.iterdir()}
    record = (folder / "training.json").read_text()
    (folder / "training.json").write_text(record.replace('"step": 6', '"step": 4'))  # a kill left the one before
    assert run_here(command) == 0
    assert (folder / "training.json").read_text() == record
    capsys.readouterr()
    assert run_here([*command, "steps=7"]) == 0
    assert "continuing at step 6" in capsys.readouterr().out
