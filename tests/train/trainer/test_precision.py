"""The comparison of bfloat16 with float32, on the smallest networks."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks import precision
from train.presets.load import load_config


def test_one_pass_differs_by_a_few_roundings(device: torch.device) -> None:
    """A rounding is 2^-9 of a value; the deepest path has about a dozen, and few channels average little."""
    found = precision.one_pass(load_config("tiny", []), device, batch=6)
    assert set(found) == {"images", "scores", "D gradients", "G gradients"}
    for name, numbers in found.items():
        assert 1e-4 < numbers["relative"] < 0.3, name
        assert 0.95 < numbers["cosine"] <= 1.0, name


def test_curves_are_held_against_those_of_float32() -> None:
    losses = {
        "fp32": {"d/loss": [1.0, 2.0, 3.0, 4.0]},
        "bf16": {"d/loss": [1.0, 2.5, 3.0, 5.0]},
    }
    assert precision.compare(losses) == {
        "fp32": {"d/loss distance": 0.0, "d/loss at the end": 4.0},
        "bf16": {"d/loss distance": 0.375, "d/loss at the end": 5.0},
    }


@pytest.mark.slow
def test_whole_runs_are_compared(tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "precision.json"
    line = ["--preset", "tiny", "--data", str(tiny_data), "--steps", "2", "--batch", "4", "--out", str(out)]
    assert precision.main(line) == 0
    written = json.loads(out.read_text())
    assert {name: len(curves["d/loss"]) for name, curves in written["losses"].items()} == dict.fromkeys(
        precision.RUNS, 2
    )
    assert written["compared"]["fp32"]["d/loss distance"] == 0
    near, far = (written["compared"][name]["d/loss distance"] for name in ("bf16", "fp32, another seed"))
    assert 0 < near < far
    capsys.readouterr()
    assert precision.main(["--preset", "tiny", "--data", str(tmp_path), "--steps", "1", "--batch", "2"]) == 2
    assert "the run failed" in capsys.readouterr().err
