"""A run that is killed at any instant and started again ends with the bits of one that was left alone."""

import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import torch

from tests.processes import Ended, run, started, wait_for
from tests.train.launch import ONE, logged, tiny_command, weights
from tests.train.run.forked import Child, forking
from train.run.checkpoint import saved_steps

# A checkpoint at every step, so that a kill falls into a save as often as into an update.
LONG = ("steps=30", "decay_from=15", "save_every=1", "sample_every=10", "log_every=5")


def assert_same_bits(a: Path, b: Path) -> None:
    left, right = weights(a), weights(b)
    assert left.keys() == right.keys()
    differing = [name for name in left if not torch.equal(left[name], right[name])]
    assert not differing


@pytest.mark.slow
def test_ten_kills_change_no_bit(tmp_path: Path, tiny_data: Path) -> None:
    """Every other one is aimed: at any instant of the writing of a checkpoint."""
    run(tiny_command(tiny_data, tmp_path / "straight", *LONG))
    chance = random.Random(10)
    command = tiny_command(tiny_data, tmp_path / "killed", *LONG)
    checkpoints = tmp_path / "killed/checkpoints"
    with forking(tmp_path / "log.txt") as parent:
        for kill in range(10):
            before = saved_steps(checkpoints)
            child = Child(parent, command[3:])
            _wait_for_training(child, checkpoints)
            time.sleep(chance.uniform(0, 0.3))
            if kill % 2:
                wait_for(lambda: list(checkpoints.glob(".partial-*")), child)
                time.sleep(chance.uniform(0, 0.02))
            child.kill()
            assert saved_steps(checkpoints)[-1:] >= before[-1:]
    run(command)
    assert_same_bits(tmp_path / "straight/checkpoints/step-00000030", tmp_path / "killed/checkpoints/step-00000030")
    assert [line["step"] for line in logged(tmp_path / "killed")] == [5, 10, 15, 20, 25, 30]
    assert not list(checkpoints.glob(".*"))


def _wait_for_training(process: Ended, checkpoints: Path) -> None:
    """Wait until this start begins another checkpoint (imports alone take seconds), or ends."""
    before = _begun(checkpoints)
    wait_for(lambda: _begun(checkpoints) - before, process)
    assert process.poll() in (None, 0)


def _begun(checkpoints: Path) -> set[tuple[str, int]]:
    """Tell checkpoints, unfinished ones too, from those of the same step that an earlier start began."""
    found = set()
    for path in checkpoints.glob("*step-*"):
        with suppress(FileNotFoundError):  # it has just been renamed
            found.add((path.name, path.stat().st_ino))
    return found


@pytest.mark.slow
def test_a_launcher_that_is_stopped_takes_its_run_along(tmp_path: Path, tiny_data: Path) -> None:
    """`accelerate launch` passes no signal on; while the run saves, nobody else trains in its folder."""
    sets = ("steps=100000", "save_every=100000", "sample_every=100000", "log_every=1")
    command = tiny_command(tiny_data, tmp_path / "run", *sets)
    with started([*ONE, *command[1:]], tmp_path / "log.txt") as process:
        wait_for((tmp_path / "run/scalars.jsonl").exists, process)
        trainers = psutil.Process(process.pid).children(recursive=True)
        second = run(command, status=2)
        process.terminate()
        process.wait(timeout=60)
    _, left = psutil.wait_procs(trainers, timeout=60)
    for trainer in left:
        trainer.kill()
    assert not left
    assert len(list((tmp_path / "run/checkpoints").glob("step-*"))) == 1
    assert second.stderr.strip().endswith(f"error: --run-dir {tmp_path / 'run'}: another process trains in it")


@pytest.mark.slow
def test_sigterm_saves_and_a_damaged_checkpoint_is_passed_over(tmp_path: Path, tiny_data: Path) -> None:
    sets = ("steps=40", "decay_from=30", "save_every=10", "sample_every=40", "log_every=10")
    run(tiny_command(tiny_data, tmp_path / "straight", *sets))
    command = tiny_command(tiny_data, tmp_path / "stopped", *sets)
    with started(command, tmp_path / "log.txt") as process:
        _wait_for_training(process, tmp_path / "stopped/checkpoints")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    assert "SIGTERM" in (tmp_path / "log.txt").read_text()
    newest = max((tmp_path / "stopped/checkpoints").glob("step-*"))
    assert int(newest.name[5:]) < 40
    damaged = newest / "generator.safetensors"
    data = bytearray(damaged.read_bytes())
    data[-1] ^= 1
    damaged.write_bytes(data)
    finished = run(command)
    assert f"{newest}: damaged checkpoint skipped (generator.safetensors: sha256" in finished.stdout
    assert_same_bits(tmp_path / "straight/checkpoints/step-00000040", tmp_path / "stopped/checkpoints/step-00000040")
