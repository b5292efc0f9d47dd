"""Two gloo processes do what one does."""

from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from sngan_cond import Generator, sample
from tests.processes import run
from tests.train.launch import TWO, tiny_command
from tests.train.run.one_update import main


def one_update(
    processes: int,
    data: Path,
    out: Path,
    *,
    accumulate: int = 1,
    power_iterations_at: str = "forward",
    steps: int = 1,
    device: str = "cpu",
) -> dict[str, torch.Tensor]:
    if processes == 2:
        run([*TWO, "-m", "tests.train.run.one_update", data, out, accumulate, power_iterations_at, steps, device])
    else:
        AcceleratorState._reset_state(reset_partial_state=True)
        main(str(data), str(out), accumulate, power_iterations_at, steps, device)
    return load_file(out)


def assert_equal_updates(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], *, slack: float = 1) -> None:
    assert a.keys() == b.keys()
    for name, value in a.items():
        # float32 sums over 8 or 16 images in another order; an update is at most lr = 0.1.
        bounds = {"rtol": slack * 2e-5, "atol": slack * 2e-6}
        torch.testing.assert_close(b[name], value, **bounds, msg=lambda m, n=name: f"{n}: {m}")
    # Biases start at 0: both updates did happen.
    assert a["G/network.blocks.0.norm1.bias"].abs().max() > 1e-4
    assert a["D/trunk.blocks.0.conv1.bias"].abs().max() > 1e-4


@pytest.mark.slow
def test_one_update_of_two_processes_equals_that_of_one(tmp_path: Path, tiny_data: Path) -> None:
    alone = one_update(1, tiny_data, tmp_path / "one.safetensors")
    together = one_update(2, tiny_data, tmp_path / "two.safetensors")
    assert_equal_updates(alone, together)


@pytest.mark.slow
def test_two_micro_batches_equal_one_batch(tmp_path: Path, tiny_data: Path) -> None:
    # Under "forward" u would move with each micro-batch; under "update" every forward sees the same weights.
    whole = one_update(1, tiny_data, tmp_path / "a.safetensors", power_iterations_at="update")
    halves = one_update(2, tiny_data, tmp_path / "b.safetensors", accumulate=2, power_iterations_at="update")
    assert_equal_updates(whole, halves)


@pytest.mark.slow
def test_a_run_of_two_processes_finishes_and_loads_in_one(tmp_path: Path, tiny_data: Path) -> None:
    run([*TWO, *tiny_command(tiny_data, tmp_path / "run")[1:]])
    folder = tmp_path / "run/checkpoints/step-00000006"
    images = sample(Generator.from_pretrained(folder), classes=[0, 9], seed=3)
    assert images.shape == (2, 3, 32, 32)
    assert "continuing at step 6" in run(tiny_command(tiny_data, tmp_path / "run", "steps=8")).stdout


@pytest.mark.slow
def test_a_last_checkpoint_that_the_main_process_cannot_write_ends_all_in_one_line(
    tmp_path: Path, tiny_data: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/checkpoints").write_text("in the way")
    sets = ("steps=4", "decay_from=3", "save_every=3", "log_every=10")
    done = run([*TWO, *tiny_command(tiny_data, tmp_path / "run", *sets)[1:]], status=1)
    for step in (3, 4):
        assert (
            f"warning: {tmp_path}/run/checkpoints/step-0000000{step}: the checkpoint cannot be saved (" in done.stdout
        )
    said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(said) == 2  # one of each
    assert all("step-00000004: the checkpoint cannot be saved (" in line for line in said)
    assert "gloo" not in done.stderr
    assert "model:" not in done.stdout
