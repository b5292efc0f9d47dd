"""The lock, files that grow, and what may fail; what is written atomically is tested where it is written."""

import errno
import os
import re
from pathlib import Path

import pytest

from sngan_cond.atomic import remove_drafts
from tests.full_disk import files_of_at_most
from train.files import Dispensable, GrowingFile, lock

fcntl = pytest.importorskip("fcntl")


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_used_unlocked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert lock(tmp_path / "lock") is None


def test_a_lock_is_held_once_and_then_again(tmp_path: Path) -> None:
    held = lock(tmp_path / "lock")
    assert held is not None
    with pytest.raises(BlockingIOError):
        lock(tmp_path / "lock")
    held.release()
    again = lock(tmp_path / "lock")
    assert again is not None
    again.release()


def test_other_faults_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"directory|exists") as error:
        lock(tmp_path / "file" / "lock")
    assert error.value.errno in (errno.ENOTDIR, errno.EEXIST)


def test_a_piece_that_the_disk_refuses_leaves_no_half_and_comes_with_the_next(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "log")
    file.add(b"first\n")
    with files_of_at_most(8):  # two bytes of the next fit
        for piece in (b"second\n", b"third\n"):
            with pytest.raises(OSError, match="File too large") as error:
                file.add(piece)
            assert error.value.filename == str(file.path)
            assert file.path.read_bytes() == b"first\n"
    file.add(b"fourth\n")
    assert file.path.read_bytes() == b"first\nsecond\nthird\nfourth\n"
    file.flush()
    assert file.path.stat().st_size == 26


def test_what_waits_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GrowingFile, "MAX_WAITING", 10)
    file = GrowingFile(tmp_path / "none/log")
    for piece in (b"first piece of more than ten\n", b"second\n"):
        with pytest.raises(FileNotFoundError):
            file.add(piece)
    file.path.parent.mkdir()
    file.flush()
    assert file.path.read_bytes() == b"first piece of more than ten\n"


def test_what_may_fail_is_named_once_and_once_that_it_works_again() -> None:
    said: list[str] = []
    dispensable = Dispensable(said.append)
    full = OSError(errno.ENOSPC, "No space left on device", "log/part")
    for what, error in (("log", full), ("log", full), ("tracker", KeyError("who")), ("log", None), ("log", None)):
        with dispensable.trying(what, KeyError):
            if error is not None:
                raise error
    with pytest.raises(ZeroDivisionError), dispensable.trying("log"):
        raise ZeroDivisionError
    assert said == [
        "warning: log: cannot be written (No space left on device: log/part); the run goes on, and tries again",
        "warning: tracker: cannot be written ('who'); the run goes on, and tries again",
        "log: is written again",
    ]


def test_drafts_go_whose_process_is_gone(tmp_path: Path) -> None:
    """But only of the names that were asked for: hidden files with a number are not ours alone."""
    own = f".a.json.{os.getpid()}"
    others = {f".a.json.{os.getppid()}", ".lock", "a.json", ".a.1.b", ".backup.20261128", ".b.json.99999999"}
    for name in (*others, own, ".a.json.99999999", ".step-7.png.99999999"):
        (tmp_path / name).touch()
    remove_drafts(tmp_path, "a.json")
    assert {path.name for path in tmp_path.iterdir()} == others | {own, ".step-7.png.99999999"}
    for folder in (tmp_path, tmp_path / "none"):
        remove_drafts(folder, re.compile(r"a\.json|step-\d\.png"), alone=True)
    assert {path.name for path in tmp_path.iterdir()} == others
