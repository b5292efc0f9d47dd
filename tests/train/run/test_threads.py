"""How many CPU threads a launched process gets."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch

from tests.processes import run
from tests.train.launch import ONE, TWO
from train.run.launch import set_num_threads

SCRIPT = """
import torch
from accelerate import PartialState
from train.run.launch import set_num_threads
before, state = torch.get_num_threads(), PartialState(cpu=True)
set_num_threads(state.device)
if state.is_main_process:
    print("threads", before, torch.get_num_threads())
state.destroy_process_group()
"""


@pytest.fixture
def threads_restored() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def cores() -> int:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, psutil.cpu_count(logical=False) or usable)


@pytest.mark.slow
@pytest.mark.parametrize(("launcher", "share"), [(ONE, 1), (TWO, 2)], ids=["one", "two"])
def test_launched_processes_share_the_cores(tmp_path: Path, launcher: list[str], share: int) -> None:
    script = tmp_path / "count.py"
    script.write_text(SCRIPT)
    done = run([*launcher, script], PYTHONPATH=".")
    # One before: else the launcher has mended its default, and set_num_threads is no longer needed.
    assert f"threads 1 {max(1, cores() // share)}" in done.stdout


@pytest.mark.usefixtures("threads_restored")
@pytest.mark.parametrize(
    ("launched", "omp", "device"),
    [(True, "3", "cpu"), (True, None, "cpu"), (False, "1", "cpu"), (True, "1", "cuda")],
)
def test_every_other_choice_is_kept(
    monkeypatch: pytest.MonkeyPatch, launched: bool, omp: str | None, device: str
) -> None:
    kept = cores() + 1
    torch.set_num_threads(kept)
    for name, value in (("ACCELERATE_MIXED_PRECISION", "no" if launched else None), ("OMP_NUM_THREADS", omp)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    set_num_threads(torch.device(device))
    assert torch.get_num_threads() == kept
