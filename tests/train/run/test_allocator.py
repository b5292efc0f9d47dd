"""The allocator's settings: taken before torch is read, by every command that computes for long."""

import json
import os
import platform
from pathlib import Path

import pytest

from tests.processes import ROOT, python
from train.run.allocator import SETTINGS

MODULE = """
import json, os, sys
from train.run.allocator import SETTINGS, reexec_with_fast_allocator
if __name__ == "__main__":
    reexec_with_fast_allocator("told")
print(json.dumps({"settings": {name: os.environ.get(name) for name in SETTINGS}, "arguments": sys.argv[1:]}))
"""

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or Path("/dev/nvidiactl").exists(), reason="glibc, and no GPU"
)


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where processes find modules; the settings are not in their environment."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    return os.pathsep.join((str(tmp_path), str(ROOT)))


def _run(tmp_path: Path, path: str, **environment: str) -> dict:
    (tmp_path / "told.py").write_text(MODULE)
    return json.loads(python("-m", "told", "--set", "a b=1", PYTHONPATH=path, **environment).stdout)


def test_process_starts_again_with_the_settings_and_its_arguments(tmp_path: Path, path: str) -> None:
    assert _run(tmp_path, path) == {"settings": SETTINGS, "arguments": ["--set", "a b=1"]}


def test_settings_of_the_user_stay(tmp_path: Path, path: str) -> None:
    found = _run(tmp_path, path, MALLOC_ARENA_MAX="3")["settings"]
    assert found == {name: "3" if name == "MALLOC_ARENA_MAX" else None for name in SETTINGS}


@pytest.mark.parametrize("command", ["train", "train.evaluate", "train.reproduce"])
def test_every_long_command_takes_them(tmp_path: Path, path: str, command: str) -> None:
    """Python's audit of a fresh process tells that it was started again, as itself, before torch was read."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "def watch(event, arguments):\n"
        "    if event == 'os.exec':\n"
        "        print('torch' in sys.modules, *arguments[1][1:], file=sys.stderr)\n"
        "sys.addaudithook(watch)\n"
    )
    told = python("-m", command, "--help", PYTHONPATH=path).stderr
    assert told.splitlines()[0] == f"False -m {command} --help"
