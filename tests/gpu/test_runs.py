"""Whole runs on a GPU as users start them: what they compute in, kills, and two processes that share the card."""

from pathlib import Path

import psutil
import pytest
import torch

from tests.processes import run, started, wait_for
from tests.train.launch import ONE, tiny_command
from tests.train.run.test_kill_resume import assert_same_bits
from tests.train.run.test_two_processes import assert_equal_updates, one_update

pytestmark = pytest.mark.gpu


def test_a_killed_run_ends_with_the_bits_of_one_that_was_left_alone(
    tmp_path: Path, tiny_data: Path, device: torch.device
) -> None:
    """In what `precision=auto` takes, with graphs: where one run plays them, the other warms up again."""
    on_gpu = device.type == "cuda"
    steps = 300 if on_gpu else 12  # so many that the kill comes before the end
    sets = (
        f"steps={steps}",
        f"decay_from={steps // 2}",
        f"save_every={steps // 3}",
        f"sample_every={steps}",
        f"log_every={steps // 3}",
    )
    sets = (*sets, "deterministic=true", "speed.compile=false")  # compiling takes a minute and is tested elsewhere

    def command(name: str) -> list[str]:
        return [*ONE, *tiny_command(tiny_data, tmp_path / name, *sets)[1:]]

    said = run(command("straight")).stdout
    assert f"precision: {'bf16, for this GPU computes in it' if on_gpu else 'fp32'}" in said
    assert "speed: " not in said  # nothing was left out
    checkpoints = tmp_path / "killed/checkpoints"
    with started(command("killed"), tmp_path / "log.txt") as launcher:
        wait_for(lambda: list(checkpoints.glob("step-*")), launcher)
        for trainer in psutil.Process(launcher.pid).children(recursive=True):
            trainer.kill()
        assert launcher.wait(timeout=60) != 0
    last = f"step-{steps:08d}"
    assert not (checkpoints / last).exists()
    assert "continuing at step " in run(command("killed")).stdout
    assert_same_bits(tmp_path / "straight/checkpoints" / last, checkpoints / last)


def test_two_processes_on_one_card_do_what_one_does(tmp_path: Path, tiny_data: Path, device: torch.device) -> None:
    """By gloo, for NCCL refuses two processes on one device; six updates of two micro-batches, the last from graphs."""
    options = {"power_iterations_at": "update", "steps": 6, "device": device.type}
    alone = one_update(1, tiny_data, tmp_path / "one.safetensors", **options)
    together = one_update(2, tiny_data, tmp_path / "two.safetensors", accumulate=2, **options)
    # The rounding error of one update, 2e-5, grows with every update that starts from it.
    assert_equal_updates(alone, together, slack=10)
