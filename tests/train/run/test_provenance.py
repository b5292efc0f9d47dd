"""What is noted about a run."""

from pathlib import Path

import pytest

from tests.processes import ROOT, run
from train.run.provenance import commit


def git(folder: Path, *words: str) -> str:
    return run(["git", "-C", folder, *words]).stdout.strip()


def test_the_commit_is_the_trainers_wherever_it_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init")
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    git(tmp_path, *who, "commit", "--allow-empty", "-m", "another project")
    monkeypatch.chdir(tmp_path)
    assert commit() == (git(ROOT, "rev-parse", "HEAD") if (ROOT / ".git").exists() else None)
