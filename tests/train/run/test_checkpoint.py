import errno
import io
import json
import os
import shutil
from collections.abc import Callable, Set
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

import train.run.checkpoint
from sngan_cond.hub.checkpoints import checkpoint_folder, state_text
from tests.durability import assert_durable, disk_events
from tests.refusals import refused
from train.errors import TrainError
from train.run.checkpoint import (
    clean_leftovers,
    newest_checkpoint,
    remove_later,
    save_checkpoint,
    saved_steps,
    state_of,
    whole_checkpoints,
)


def save(
    root: Path,
    step: int,
    value: float = 1.0,
    keep: int = 2,
    healthy: int | None = None,
    damaged: Set[int] = frozenset(),
) -> Path:
    return save_checkpoint(
        root,
        state={"step": step, "images_seen": 64 * step, "seconds": 0.5, "world_size": 1, "config": {}},
        tensors={"generator": {"w": torch.full((3, 2), value)}},
        texts={"config.json": "{}"},
        keep=keep,
        healthy=healthy,
        damaged=damaged,
    )


def test_the_newest_whole_checkpoint_is_read_back(tmp_path: Path) -> None:
    save(tmp_path, 1, 1.5)
    save(tmp_path, 12, 2.5)
    found = newest_checkpoint(tmp_path, warn=pytest.fail)
    assert found is not None
    assert found.step == 12
    assert torch.equal(found.tensors("generator")["w"], torch.full((3, 2), 2.5))
    assert sorted(json.loads((found.folder / "state.json").read_text())["files"]) == [
        "config.json",
        "generator.safetensors",
    ]


def test_everything_is_on_disk_before_a_checkpoint_has_its_name(tmp_path: Path) -> None:
    with disk_events() as events:
        folder = save(tmp_path, 3)
    assert_durable(events, folder)


def test_an_empty_folder_has_none(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path / "nothing", warn=pytest.fail) is None


def test_only_folders_of_steps_are_steps(tmp_path: Path) -> None:
    for rest in ("00000010", "00000002", "123456789", "00000010 (copy)", "7", "", "-0000001", "²"):
        (tmp_path / f"step-{rest}").mkdir()
    assert saved_steps(tmp_path) == [2, 10, 123456789]


def test_a_copy_that_somebody_made_is_neither_read_nor_counted_nor_removed(tmp_path: Path) -> None:
    copied = tmp_path / "step-00000010 (copy)"
    shutil.copytree(save(tmp_path, 10), copied)
    found = [save(tmp_path, step, keep=2).name for step in (11, 12, 13)]
    assert [checkpoint.folder.name for checkpoint in whole_checkpoints(tmp_path, pytest.fail)] == found[:0:-1]
    assert copied.is_dir()


def test_steps_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    for step in (99_999_999, 100_000_000):
        save(tmp_path, step, keep=1)
    assert saved_steps(tmp_path) == [100_000_000]


def resealed(**changes: object) -> Callable[[bytes], bytes]:
    """Damage that a program did, which wrote the file anew."""

    def change(data: bytes) -> bytes:
        state = {key: value for key, value in json.loads(data).items() if key != "sha256"} | changes
        return state_text({key: value for key, value in state.items() if value != "absent"}).encode()

    return change


def by_an_earlier_version(state: Path) -> None:
    """Give a state the form that it had before it had a sha256 of its own."""
    values = {**json.loads(state.read_text()), "format": 1}
    del values["sha256"]
    state.write_text(json.dumps(values, indent=2) + "\n")


NO_SUM = "state.json: damaged, its content is not that of its own sha256"


@pytest.mark.parametrize(
    ("name", "damage", "reason"),
    [
        ("generator.safetensors", lambda data: data[:-1] + bytes([data[-1] ^ 1]), "generator.safetensors: sha256"),
        ("generator.safetensors", lambda data: data[:-4], "generator.safetensors: sha256"),
        ("generator.safetensors", None, "generator.safetensors: no such file"),
        ("state.json", None, "state.json: cannot be read as JSON (No such file or directory)"),
        ("state.json", lambda _: b"{", "state.json: cannot be read as JSON"),
        ("state.json", lambda _: b"[" * 100_000, "state.json: cannot be read as JSON (nested too deeply)"),
        ("state.json", lambda _: b'{"a": ' * 65 + b"0" + b"}" * 65, "nested too deeply, at most 64 levels are read"),
        ("state.json", lambda _: b"[]", "state.json: a JSON object is expected, there is a list"),
        ("state.json", lambda data: data.replace(b'"step": 2', b'"step": 1'), NO_SUM),
        ("state.json", lambda data: data + b"\n", NO_SUM),
        ("state.json", resealed(format=3), "state.json: format 1 or 2 is expected"),
        ("state.json", resealed(files="absent"), "state.json: field 'files' is missing"),
        ("state.json", resealed(extra=1), "state.json: field 'extra' is unknown"),
        ("state.json", resealed(files=[]), "files is []"),
        ("state.json", resealed(files={"../config.json": "0" * 64}), "a string like ^[a-z]"),
        ("state.json", resealed(files={"config.json": "0"}), "files.config.json is '0'"),
        ("state.json", resealed(files={}), "state.json: files lacks generator.safetensors"),
        ("state.json", resealed(step="2"), "state.json: step is '2'"),
        ("state.json", resealed(step=1), "state.json: step 1, which is not the folder's"),
        ("state.json", resealed(seconds=-1), "state.json: seconds is -1"),
        ("state.json", resealed(config=[]), "state.json: config is []"),
        ("config.json", lambda _: b"{ }", "config.json: sha256"),
    ],
)
def test_a_damaged_checkpoint_is_named_skipped_and_left(
    tmp_path: Path, name: str, damage: Callable[[bytes], bytes] | None, reason: str
) -> None:
    save(tmp_path, 1)
    newest = save(tmp_path, 2)
    if damage is None:
        (newest / name).unlink()
    else:
        (newest / name).write_bytes(damage((newest / name).read_bytes()))
    warnings: list[str] = []
    found = next(whole_checkpoints(tmp_path, warnings.append, check=lambda found: found.shapes("generator") and None))
    assert found.step == 1
    (warning,) = warnings
    assert warning.startswith(f"{newest}: damaged checkpoint skipped (")
    assert reason in warning
    assert "\n" not in warning
    assert newest.exists()
    again = save(tmp_path, 2, 3.0)  # the run comes to this step again
    assert newest_checkpoint(tmp_path, warn=pytest.fail).folder == again  # type: ignore[union-attr]
    assert list(tmp_path.glob("damaged-*"))


def test_a_checkpoint_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    by_an_earlier_version(save(tmp_path, 7) / "state.json")
    found = newest_checkpoint(tmp_path, warn=pytest.fail)
    assert found is not None
    assert (found.step, found.state.data, found.state.sha256) == (7, None, None)


def test_every_flipped_bit_of_a_state_is_refused(tmp_path: Path) -> None:
    """One in a white space or in the sum itself as much as one that makes another step."""
    path = save(tmp_path, 6) / "state.json"
    text = bytearray(path.read_bytes())
    for place in range(8 * len(text)):
        text[place // 8] ^= 1 << place % 8
        path.write_bytes(text)
        with pytest.raises(TrainError):
            state_of(path.parent)
        text[place // 8] ^= 1 << place % 8
    path.write_bytes(text)
    assert state_of(path.parent).step == 6


@pytest.mark.parametrize("what", ["state.json", "generator.safetensors", "the folder of all"])
@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_what_cannot_be_read_now_is_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, what: str
) -> None:
    """Else an older checkpoint would be gone on from, and whole ones go."""
    for step in (1, 2, 3):
        save(tmp_path, step, keep=9)
    unreadable = tmp_path if what == "the folder of all" else checkpoint_folder(tmp_path, 3) / what

    def failing(real: Callable[..., object]) -> Callable[..., object]:
        def call(path: object, *args: object, **options: object) -> object:
            if str(path) == str(unreadable):
                raise OSError(code, os.strerror(code), str(path))
            return real(path, *args, **options)

        return call

    with monkeypatch.context() as patch:
        for owner, name in ((Path, "open"), (io, "open"), (Path, "iterdir")):
            patch.setattr(owner, name, failing(getattr(owner, name)))
        patch.setattr(train.run.checkpoint, "saved_steps", failing(saved_steps))
        said = f"{unreadable}: cannot be read now ({os.strerror(code)}), which may pass; nothing was changed"
        refused(lambda: newest_checkpoint(tmp_path, pytest.fail), said, by=TrainError)
        save(tmp_path, 4, keep=2)
    # One of whose state nobody knows neither counts nor goes; which files are there is known all the same. Where nobody
    # knows which checkpoints there are, what is saved is saved, and the next save removes the oldest.
    assert saved_steps(tmp_path) == {"state.json": [2, 3, 4], "the folder of all": [1, 2, 3, 4]}.get(what, [3, 4])


@pytest.mark.parametrize("damage", ["missing file", "another format", "no state", "flipped bit"])
def test_damaged_checkpoints_neither_count_nor_go(tmp_path: Path, damage: str) -> None:
    known = {4, 6} if damage == "flipped bit" else frozenset()  # to whoever has read every byte
    for step in (1, 4, 6):
        folder = save(tmp_path, step, keep=9)
        if step > 1 and damage == "missing file":
            (folder / "generator.safetensors").unlink()
        elif step > 1 and damage == "another format":
            (folder / "state.json").write_text('{"format": 99, "files": {}}')
        elif step > 1 and damage == "flipped bit":
            weights = folder / "generator.safetensors"
            weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
        elif step > 1:
            (folder / "state.json").unlink()
    assert save(tmp_path, 2, damaged=known).is_dir()
    assert save(tmp_path, 3, damaged=known).is_dir()
    assert newest_checkpoint(tmp_path, warn=lambda _: None).step == 3  # type: ignore[union-attr]
    save(tmp_path, 7, damaged=known)
    assert saved_steps(tmp_path) == [3, 4, 6, 7]


def test_the_checkpoint_just_written_stays_whatever_lies_beyond_it(tmp_path: Path) -> None:
    for step in (20, 30):
        save(tmp_path, step)
    for step in (10, 11, 12):
        assert save(tmp_path, step).is_dir()
    assert {int(path.name[5:]) for path in tmp_path.iterdir()} == {11, 12, 20, 30}


def test_a_checkpoint_that_another_program_reads_goes_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, which renames no folder with an open file."""
    rename = Path.rename

    def held(path: Path, target: Path) -> Path:
        if path.name == "step-00000001":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", held)
        for step in (1, 2, 3):
            save(tmp_path, step, keep=2)
    assert saved_steps(tmp_path) == [1, 2, 3]
    save(tmp_path, 4, keep=2)
    assert saved_steps(tmp_path) == [3, 4]


def test_the_oldest_go_and_leftovers_of_a_killed_process_are_cleaned(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        save(tmp_path, step, keep=2)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step-00000003", "step-00000004"]
    (tmp_path / ".partial-step-00000005").mkdir()
    (tmp_path / ".deleting-step-00000002").mkdir()
    clean_leftovers(tmp_path)
    assert not list(tmp_path.glob(".*"))


def test_the_last_healthy_one_is_kept_beside_the_newest(tmp_path: Path) -> None:
    kept = []
    for step, healthy in ((1, None), (2, 2), (3, 2), (5, 3), (7, 3), (8, 3), (9, 9)):
        save(tmp_path, step, keep=2, healthy=healthy)
        kept.append(saved_steps(tmp_path))
    assert kept == [[1], [1, 2], [2, 3], [3, 5], [3, 5, 7], [3, 7, 8], [8, 9]]
    save(tmp_path, 12, keep=2, healthy=0)
    assert saved_steps(tmp_path) == [9, 12]


def test_later_steps_are_removed_whatever_they_are(tmp_path: Path) -> None:
    for step in (2, 4, 5):
        save(tmp_path, step, keep=9)
        (tmp_path / f"step-{step:08d}.png").touch()
    (tmp_path / "step-00000006 (copy)").mkdir()
    remove_later(tmp_path, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-00000002",
        "step-00000002.png",
        "step-00000006 (copy)",
    ]
    remove_later(tmp_path / "nothing", 3)


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("save_tensors", SafetensorError("No space left on device")),  # how its writer tells it
        ("save_tensors", FULL),
        ("sync", FULL),
        ("sha256", FULL),
    ],
)
def test_a_full_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, error: Exception
) -> None:
    save(tmp_path, 1)

    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(train.run.checkpoint, place, full)
    with pytest.raises(TrainError, match=r"step-00000002: the checkpoint cannot be saved \(No space left on device\)"):
        save(tmp_path, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
