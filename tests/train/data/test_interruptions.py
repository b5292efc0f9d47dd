"""Kills, interruptions and faults of the disk: nothing half-made, and the same bytes in the end."""

import errno
import fcntl
import json
import os
import resource
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.durability import assert_durable, disk_events
from tests.processes import wait_for
from tests.train.data.images import arguments, contents, image_folder, prepare, refusal, run, start
from train.data import build as building
from train.data import partial as partials
from train.data import workers
from train.data.dataset import PreparedDataset
from train.data.info import DatasetInfo
from train.data.partial import Partial


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_many_instants_and_started_again_gives_the_same_bytes(tmp_path: Path, workers: int) -> None:
    source = image_folder(tmp_path / "images", {"ant": 700, "bee": 600})
    (source / "ant" / "000.jpg").write_text("no image")
    assert prepare(*arguments(source, tmp_path / "whole"))[0] == 0
    out = tmp_path / "out"
    line = arguments(source, out, workers=workers)
    for kills in range(5):
        with start(*line, chunks=kills + 1):  # one more than at the last kill
            pass  # killed here
        if out.exists():  # it was faster; then it is whole
            assert contents(out) == contents(tmp_path / "whole")
            break
    assert kills >= 2
    run(*line)
    assert contents(out) == contents(tmp_path / "whole")
    assert not (tmp_path / "out.partial").exists()


INSTANTS = {
    "before a chunk": (Partial, "append", "before"),
    "between images and line": (partials, "sync", "before"),
    "after a chunk": (Partial, "append", "after"),
    "before the header": (Partial, "seal", "before"),
    "after the header": (Partial, "seal", "after"),
    "before labels": (building.np, "save", "before"),
    "before dataset.json": (DatasetInfo, "write", "before"),
    "before the rename": (Path, "rename", "before"),
}


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("instant", INSTANTS)
def test_interrupted_at_any_instant(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instant: str
) -> None:
    assert prepare(*arguments(source, tmp_path / "whole"))[0] == 0
    target, name, when = INSTANTS[instant]
    real, calls = getattr(target, name), []

    def stop(*given: Any) -> None:
        calls.append(given)
        if when == "after":
            real(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(target, name, stop)
        assert prepare(*arguments(source, tmp_path / "out"))[0] == 130
    assert len(calls) == (2 if name == "sync" else 1)  # what is written is noted on the way out, so that is tried again
    assert not (tmp_path / "out").exists()
    assert prepare(*arguments(source, tmp_path / "out"))[0] == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert not (tmp_path / "out.partial").exists()


def test_everything_is_on_disk_before_a_data_set_has_its_name(source: Path, tmp_path: Path) -> None:
    with disk_events() as events:
        assert prepare(*arguments(source, tmp_path / "out"))[0] == 0
    assert_durable(events, tmp_path / "out")


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def begin(line: list[object]) -> None:
    """Make every image and be interrupted at the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "_finish", interrupt)
        assert prepare(*line)[0] == 130


@pytest.mark.usefixtures("small_chunks")
def test_a_torn_line_and_a_lost_image_file_cost_work_and_no_more(source: Path, tmp_path: Path) -> None:
    prepare(*arguments(source, tmp_path / "whole"))
    line, partial = arguments(source, tmp_path / "out"), tmp_path / "out.partial"
    begin(line)
    marks = (partial / "done.jsonl").read_bytes()
    assert marks.count(b"\n") == 6
    (partial / "done.jsonl").write_bytes(marks[:-2])
    begin(line)
    assert (partial / "done.jsonl").read_bytes() == marks
    os.truncate(partial / "data" / "images.npy", 10_000)
    begin(line)
    assert (partial / "done.jsonl").read_bytes() == marks
    (partial / "data" / "images.npy").unlink()
    assert prepare(*line)[0] == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.usefixtures("small_chunks")
def test_finished_chunks_are_not_made_again(source: Path, tmp_path: Path) -> None:
    line = arguments(source, tmp_path / "out", on_bad_image="skip")
    begin(line)
    for path in source.rglob("*.jpg"):
        path.write_text("gone bad since")
    assert prepare(*line)[0] == 0
    assert PreparedDataset.open(tmp_path / "out").info.skipped["total"] == 4


@pytest.mark.usefixtures("small_chunks")
def test_a_line_covers_several_chunks_and_follows_its_images(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partials, "NOTE_IMAGES", 20)
    line, done = arguments(source, tmp_path / "out", on_bad_image="skip"), tmp_path / "out.partial" / "done.jsonl"
    synced = []

    def sync(path: Path) -> None:
        synced.append((path.name, done.read_text().count("\n") if done.exists() else 0))

    monkeypatch.setattr(partials, "sync", sync)
    begin(line)
    # 44 images in chunks of 8, noted at 24 and at the end
    assert synced == [("images.npy", 0), ("done.jsonl", 1), ("images.npy", 1), ("done.jsonl", 2)]
    notes = [json.loads(text) for text in done.read_text().splitlines()]
    assert [note["rows"] + sum(len(other["bad"]) for other in notes[: i + 1]) for i, note in enumerate(notes)] == [
        24,
        44,
    ]


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(errno.ENOSPC, "full")], ids=["Ctrl-C", "full disk"])
def test_what_was_made_before_a_stop_is_noted_and_chunks_of_another_size_go_on_from_there(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: BaseException
) -> None:
    prepare(*arguments(source, tmp_path / "whole"))
    monkeypatch.setattr(partials, "NOTE_IMAGES", 1000)
    line, append = arguments(source, tmp_path / "out"), Partial.append

    def append_16(partial: Partial, *chunk: Any) -> None:
        if partial.made == 16:
            raise stop
        append(partial, *chunk)

    with monkeypatch.context() as patch:
        patch.setattr(Partial, "append", append_16)
        assert prepare(*line)[0] == (130 if isinstance(stop, KeyboardInterrupt) else 2)
    [note] = (tmp_path / "out.partial" / "done.jsonl").read_text().splitlines()
    assert json.loads(note)["rows"] == 15
    monkeypatch.setattr(workers, "CHUNK_IMAGES", 5)
    assert prepare(*line)[0] == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.usefixtures("small_chunks")
def test_what_was_made_before_a_bad_image_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partials, "NOTE_IMAGES", 1000)
    source = image_folder(tmp_path / "images", {"ant": 30})
    (source / "ant" / "020.jpg").write_text("no image")
    assert "020.jpg" in refusal(*arguments(source, tmp_path / "out", on_bad_image="fail"))
    assert (tmp_path / "out.partial" / "done.jsonl").read_text() == '{"rows": 16, "bad": []}\n'


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("plan.json", ' "layout": 2,\n', "", " was begun by another version of train.prepare; finish it with that, or"),
        ("plan.json", "{", "[", "/plan.json: cannot be read as JSON ("),
        ("done.jsonl", '{"rows"', "{rows", "/done.jsonl: line 1: cannot be read as JSON ("),
        ("done.jsonl", '"rows": 40', '"rows": -1', "/done.jsonl: line 1: rows is -1; allowed is a number from 0 on"),
        ("done.jsonl", '"rows": 40', '"rows": "x"', "/done.jsonl: line 1: rows is 'x'; allowed is an integer"),
        ("done.jsonl", '"bad"', '"good"', "/done.jsonl: line 1: field 'bad' is missing; allowed are exactly bad, rows"),
        ("done.jsonl", '"index": 4', '"index": 99', "/done.jsonl: line 1 does not follow from those before; delete "),
    ],
)
def test_a_damaged_or_foreign_folder_is_refused_and_left_alone(
    source: Path, tmp_path: Path, name: str, old: str, new: str, message: str
) -> None:
    line, partial = arguments(source, tmp_path / "out"), tmp_path / "out.partial"
    begin(line)
    text = (partial / name).read_text()
    assert old in text
    (partial / name).write_text(text.replace(old, new, 1))
    before = {path: path.read_bytes() for path in partial.rglob("*") if path.is_file()}
    assert refusal(*line).startswith(f"--out: {partial}{message}")
    assert {path: path.read_bytes() for path in partial.rglob("*") if path.is_file()} == before


def test_a_deletion_that_is_interrupted_leaves_no_finished_chunks_to_another_command(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (source / "cat").iterdir():
        path.write_text("no image")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", interrupt)
        assert prepare(*arguments(source, tmp_path / "out"))[0] == 130
    left = {path.name for path in (tmp_path / "out.partial").iterdir()}
    assert {"plan.json", "data"} <= left
    assert "done.jsonl" not in left


def test_two_commands_at_once_do_not_write_one_folder(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out.partial").mkdir()
    lock = os.open(tmp_path / "out.partial" / "lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    said = refusal(*arguments(source, tmp_path / "out"))
    os.close(lock)
    assert "out.partial is being written by another process" in said
    assert prepare(*arguments(source, tmp_path / "out"))[0] == 0


def test_a_full_disk_is_one_line_and_can_be_resumed(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", no_room, raising=False)
        said = refusal(*arguments(source, out))
    assert said.startswith(f"--out: cannot write {out} (No space left on device); ")
    assert "bytes are free" in said
    assert not out.exists()
    assert prepare(*arguments(source, out))[0] == 0


@pytest.mark.slow
def test_a_limit_of_the_system_on_file_size_is_one_line(source: Path, tmp_path: Path) -> None:
    """The kernel itself refuses the bytes."""
    out = tmp_path / "out"
    limit = 20_000  # 44 images take 33,920 bytes
    limited = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))}
    with start(*arguments(source, out), chunks=99, **limited) as process:
        assert process.returncode == 2
    said = (tmp_path / "out.log").read_text()
    assert "cannot write" in said
    assert "File too large" in said
    assert "Traceback" not in said
    assert not out.exists()
    run(*arguments(source, out))


@pytest.mark.slow
def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with start("--source", "shapes", "--resolution", 256, "--limit", 20000, "--workers", 2, "--out", out) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) >= 2
        process.kill()
    wait_for(lambda: not [child for child in children if Path(f"/proc/{child}/cmdline").exists()])
