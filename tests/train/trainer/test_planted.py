"""Faults planted into small runs, each of which the run names by itself, and healthy runs, which say nothing."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.train.launch import logged, run_here, tiny_command
from train.data.feed import RealBatches
from train.files import sha256
from train.trainer.update import Updates

SETS = ("decay_from=null", "log_every=5", "save_every=10", "sample_every=1000")


def last_layer_zeroed(data: Path, patch: pytest.MonkeyPatch) -> Path:
    """After every G update."""
    step_g = Updates._step_g

    def zeroed(updates: Updates, *args: object) -> dict[str, Tensor]:
        parts = step_g(updates, *args)  # type: ignore[arg-type]
        last = [module for module in updates.G.modules() if isinstance(module, nn.Conv2d)][-1]
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        return parts

    patch.setattr(Updates, "_step_g", zeroed)
    return data


def labels_shuffled(data: Path, patch: pytest.MonkeyPatch) -> Path:
    patch.chdir(shutil.copytree(data, data.with_name("shuffled"), dirs_exist_ok=True).parent)
    labels = np.load(data / "labels.npy")
    np.save("shuffled/labels.npy", np.random.default_rng(0).permutation(labels))
    info = json.loads((data / "dataset.json").read_text())
    info["sha256"]["labels.npy"] = sha256(Path("shuffled/labels.npy"))  # as by a preparation that took wrong labels
    Path("shuffled/dataset.json").write_text(json.dumps(info))
    return data.with_name("shuffled")


def as_it_is(data: Path, _patch: pytest.MonkeyPatch) -> Path:
    return data


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sets", "plant", "named"),
    [
        (("steps=60", "optim_g.lr=0.02", "optim_d.lr=0.02"), as_it_is, "same_scores"),  # a hundred times the preset's
        (("steps=20", "optim_g.lr=0.9", "optim_d.lr=0.9", "constraint.kind=none"), as_it_is, "same_scores"),
        (("steps=32", "optim_d.lr=1e-30"), as_it_is, "d_stands_still"),
        (("steps=32",), last_layer_zeroed, "latents_alike"),
        (("steps=32",), labels_shuffled, "labels"),
    ],
)
def test_a_fault_is_named_within_60_steps(
    sets: tuple[str, ...],
    plant: Callable[[Path, pytest.MonkeyPatch], Path],
    named: str,
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = plant(tiny_data, monkeypatch)
    assert run_here(tiny_command(data, tmp_path / "run", *SETS, *sets)) == 3
    noted = json.loads((tmp_path / "run/health.json").read_text())["findings"]
    assert named in [finding["symptom"] for finding in noted if finding["gone"] is None]
    said = capsys.readouterr().out
    assert "the run is not well: " in said.splitlines()[-1]
    assert all(said.count(f"{f['says']} since step {f['since']}: {f['evidence']}") == 1 for f in noted)


def one_image_is_nan(patch: pytest.MonkeyPatch, *, times: int) -> None:
    """In the first D update of the fifth step, as often as it is taken."""
    at, left = RealBatches.at, [times]

    def with_nan(real: RealBatches, update: int) -> tuple[Tensor, Tensor]:
        x, y = at(real, update)
        if update == 8 and left[0]:
            left[0] -= 1
            x[2, 1, 5, 7] = torch.nan
        return x, y

    patch.setattr(RealBatches, "at", with_nan)


@pytest.mark.slow
def test_one_image_that_is_nan_is_named_by_its_step(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one_image_is_nan(monkeypatch, times=1)
    assert run_here(tiny_command(tiny_data, tmp_path / "run", "steps=5", "log_every=1", "sample_every=1000")) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "step 4: loss or gradient of D is not finite" in said  # counted from 0, as its update is
    assert f"Last good checkpoint: {tmp_path}/run/checkpoints/step-00000004" in said


@pytest.mark.slow
def test_a_run_goes_back_from_what_is_not_finite(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one_image_is_nan(monkeypatch, times=1)
    sets = ("steps=6", "decay_from=null", "log_every=1", "save_every=3", "sample_every=1000", "monitor.action=rollback")
    assert run_here(tiny_command(tiny_data, tmp_path / "run", *sets)) == 0
    assert "loss or gradient is not finite since step 5: for the first time at step 4" in capsys.readouterr().out
    (rollback,) = json.loads((tmp_path / "run/health.json").read_text())["rollbacks"]
    assert rollback == {"step": 5, "to": 3, "because": ["not_finite"]}
    assert [line["lr_g"] for line in logged(tmp_path / "run")] == [2e-4] * 3 + [1e-4] * 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "sets",
    [
        ("steps=110", "sample_every=1000", "data.held_out=0.1"),
        ("steps=25", "num_classes=0", "discriminator.head=unconditional", "optim_g.lr=1e-3", "seed=1"),
        ("steps=25", "loss.kind=non_saturating", "d_updates_per_step=1", "optim_d.lr=1e-3", "seed=2"),
        ("steps=25", "loss.kind=wasserstein", "constraint.kind=none", "constraint.gradient_penalty=10", "seed=3"),
    ],
)
def test_a_healthy_run_says_nothing(sets: tuple[str, ...], tiny_data: Path, tmp_path: Path) -> None:
    assert run_here(tiny_command(tiny_data, tmp_path / "run", *SETS, "monitor.every=10", *sets)) == 0
    assert not (tmp_path / "run/health.json").exists()
    looks = [line for line in logged(tmp_path / "run") if "monitor/diversity" in line]
    assert len(looks) >= 4
    if "sample_every=1000" in sets:
        grids = sorted(int(path.stem[5:]) for path in (tmp_path / "run/samples").iterdir())
        assert grids == [0, 10, 100, 110]
        assert all("monitor/overfit" in look for look in looks)
