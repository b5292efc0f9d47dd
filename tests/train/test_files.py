"""The lock; what is written atomically is tested where it is written."""

import errno
from pathlib import Path

import pytest

from train.files import lock

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
