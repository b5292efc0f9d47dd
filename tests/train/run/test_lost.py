"""A run that has lost its checkpoints does not begin again as if there had been none."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sngan_cond.hub.checkpoints import CHECKPOINTS_FOLDER, saved_steps
from tests.train.launch import logged, refused_run, run_here, tiny_command, weights
from tests.train.run.taken_over import STEPS, another_begins
from train.config import TrainConfig
from train.monitor.record import HEALTH_FILE
from train.publishing.publisher import forget_published
from train.reproduction.runner import RESULT_FILE
from train.run.lost import PUBLISHED_FILE, clean_up, move_aside, traces
from train.run.numerics import TRAINING_FILE
from train.run.run import CONFIG_FILE, LOCK_FILE, Run
from train.run.scalars import SCALARS_FILE
from train.sections import HubConfig
from train.trainer.start import START_FILE

CONFIG = TrainConfig(save_every=10)


def log(folder: Path, *steps: int) -> None:
    (folder / "scalars.jsonl").write_text("".join(f'{{"step": {s}, "images_seen": 1}}\n' for s in steps) + '{"step": 9')


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda folder: (folder / "scalars.jsonl").touch(), []),
        (lambda folder: log(folder, 5, 10, 20), []),  # it may have been killed while it wrote the first, of step 10
        (lambda folder: log(folder, 20, 21), ["none is there", "it had come to step 21"]),
        (lambda folder: (folder / "training.json").touch(), ["none is there", "it has training.json"]),
        (lambda folder: (folder / "checkpoints/step-00000007").mkdir(parents=True), ["damaged are those of step 7"]),
        (lambda folder: (folder / "checkpoints/.partial-step-00000007").mkdir(parents=True), []),
        (lambda folder: (folder / "published.json").write_text('{"a/b": {}}'), []),
        (
            lambda folder: (folder / "published.json").write_text('{"a/b": {"10": "c", "9": "d"}}'),
            ["none is there", "step 10 was published"],
        ),
        (
            lambda folder: (folder / "published.json").write_text("{"),
            ["none is there", "it has published.json, which cannot be read"],
        ),
    ],
)
def test_what_tells_of_lost_checkpoints(tmp_path: Path, make: Callable[[Path], object], found: list[str]) -> None:
    make(tmp_path)
    assert traces(tmp_path, CONFIG) == found


def test_publications_save_too(tmp_path: Path) -> None:
    log(tmp_path, 9)
    assert traces(tmp_path, replace(CONFIG, hub=HubConfig(every=4))) == []
    assert traces(tmp_path, replace(CONFIG, hub=HubConfig(every=4, repo="a/b"))) != []


def test_what_is_moved_aside_is_all_but_the_lock_and_what_was_moved_before(tmp_path: Path) -> None:
    for number in (1, 2):
        for name in ("scalars.jsonl", "training.json", LOCK_FILE):
            (tmp_path / name).write_text(str(number))
        assert move_aside(tmp_path, keep=LOCK_FILE) == tmp_path / f"lost-{number}"
        assert sorted(path.name for path in (tmp_path / f"lost-{number}").iterdir()) == [
            "scalars.jsonl",
            "training.json",
        ]
        assert (tmp_path / f"lost-{number}/training.json").read_text() == str(number)
    assert {path.name for path in tmp_path.iterdir()} == {LOCK_FILE, "lost-1", "lost-2"}


def test_a_kill_while_a_run_goes_back_leaves_nothing_in_the_way_of_the_next_time(tmp_path: Path) -> None:
    for name in (CHECKPOINTS_FOLDER, "evaluations", "outbox/user--name"):
        for left in (".deleting-step-00000006", "step-00000006"):
            (tmp_path / name / left / "files").mkdir(parents=True)
    clean_up(tmp_path)
    Run.forget_after(SimpleNamespace(folder=tmp_path), 4)  # type: ignore[arg-type]
    forget_published(tmp_path, 4)
    assert not [path for path in tmp_path.rglob("*") if "step" in path.name]


def test_drafts_of_all_that_a_run_writes_go_and_hidden_files_of_others_stay(tmp_path: Path) -> None:
    scored = tmp_path / "evaluations/step-00000006"
    for folder in (tmp_path / "samples", scored):
        folder.mkdir(parents=True)
    names = (CONFIG_FILE, TRAINING_FILE, SCALARS_FILE, PUBLISHED_FILE, HEALTH_FILE, START_FILE, RESULT_FILE)
    written = [tmp_path / name for name in names]
    written += [tmp_path / "samples/step-00000006.png", scored / "ema.json", scored / "generator.json"]
    others = [folder / ".backup.99999999" for folder in (tmp_path, tmp_path / "samples", scored)]
    for path in (*(path.with_name(f".{path.name}.99999999") for path in written), *others):
        path.touch()
    clean_up(tmp_path)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(others)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_only_a_flag_begins_such_a_run_anew(
    tmp_path: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, folder = tiny_command(tiny_data, tmp_path / "run", "steps=4", "save_every=2"), tmp_path / "run"
    anew = [*command[:3], "--start-anew", *command[3:]]
    assert run_here(anew) == 0  # of a run that has not begun, the flag changes nothing
    straight, lines = weights(folder / "checkpoints/step-00000004"), (folder / "scalars.jsonl").read_bytes()
    assert run_here(anew) == 0  # nor of one that has a checkpoint
    assert "beginning anew" not in capsys.readouterr().out
    shutil.rmtree(folder / "checkpoints")
    before = contents(folder)
    refused_run(command, f"--run-dir {folder}: the run has no whole checkpoint (none is there; it had come to step 4)")
    assert contents(folder) == before
    assert run_here(anew) == 0
    assert f"beginning anew; what was left of the run is in {folder / 'lost-1'}\n" in capsys.readouterr().out
    left = {name: content for name, content in before.items() if name != LOCK_FILE}
    assert contents(folder / "lost-1") == left
    assert left["scalars.jsonl"] == lines
    again = weights(folder / "checkpoints/step-00000004")
    assert all(torch.equal(again[name], straight[name]) for name in straight)
    assert [line["step"] for line in logged(folder)] == [2, 4]


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(
    tmp_path: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, should_stop = tiny_command(tiny_data, tmp_path / "run", "steps=4", "log_every=1"), Run.should_stop

    def killed(run: Run) -> bool:
        if run.logs._lines.path.read_text().count("\n") == 3:
            raise KeyboardInterrupt
        return should_stop(run)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "should_stop", killed)
        assert run_here(command) == 130
    draft = tmp_path / "run/.config.yaml.99999999"
    draft.touch()  # as of a process that is gone
    assert run_here(command) == 0
    assert [line["step"] for line in logged(tmp_path / "run")] == [1, 2, 3, 4]
    assert not draft.exists()


def test_a_folder_that_another_run_has_by_now_is_left_to_it(
    tmp_path: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else the one would rotate the checkpoints of the other away."""
    folder = tmp_path / "run"
    other = another_begins(folder, monkeypatch, at=4)
    sets = ("steps=8", "save_every=4", "log_every=1", "sample_every=100", "keep_checkpoints=2")
    assert run_here(tiny_command(tiny_data, folder, *sets)) == 2
    other.release()
    assert f"error: --run-dir {folder}: another process trains in it\n" in capsys.readouterr().err
    assert saved_steps(folder / "checkpoints") == STEPS
    assert {path.name for path in folder.iterdir()} == {LOCK_FILE, "checkpoints"}
