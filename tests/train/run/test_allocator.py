"""The allocator's settings: taken before torch is read, by every command that computes for long."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from train.run.allocator import SETTINGS

MODULE = """
import json, os, sys
from train.run.allocator import SETTINGS, reexec_with_fast_allocator
if __name__ == "__main__":
    reexec_with_fast_allocator("told")
print(json.dumps({"settings": {name: os.environ.get(name) for name in SETTINGS}, "arguments": sys.argv[1:]}))
"""
_ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or Path("/dev/nvidiactl").exists(), reason="glibc, and no GPU"
)


def _run(tmp_path: Path, **environment: str) -> dict:
    (tmp_path / "told.py").write_text(MODULE)
    kept = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    done = subprocess.run(
        [sys.executable, "-m", "told", "--set", "a b=1"],
        env={**kept, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(_ROOT))), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_process_starts_again_with_the_settings_and_its_arguments(tmp_path: Path) -> None:
    assert _run(tmp_path) == {"settings": SETTINGS, "arguments": ["--set", "a b=1"]}


def test_settings_of_the_user_stay(tmp_path: Path) -> None:
    found = _run(tmp_path, MALLOC_ARENA_MAX="3")["settings"]
    assert found == {name: "3" if name == "MALLOC_ARENA_MAX" else None for name in SETTINGS}


@pytest.mark.parametrize("command", ["train", "train.evaluate", "train.reproduce"])
def test_every_long_command_takes_them(tmp_path: Path, command: str) -> None:
    """Python's audit of a fresh process tells that it was started again, as itself, before torch was read."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "def watch(event, arguments):\n"
        "    if event == 'os.exec':\n"
        "        print('torch' in sys.modules, *arguments[1][1:], file=sys.stderr)\n"
        "sys.addaudithook(watch)\n"
    )
    kept = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    done = subprocess.run(
        [sys.executable, "-m", command, "--help"],
        env={**kept, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(_ROOT)))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.splitlines()[0] == f"False -m {command} --help"
