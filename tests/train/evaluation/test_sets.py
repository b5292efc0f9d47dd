"""Scores over several sample sets and over thresholds of truncation: the sum of what single evaluations give."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.refusals import refused, refused_command
from tests.train.evaluation.parts import job_of, tiny_dataset, tiny_generator, write_dataset
from train import evaluate as command
from train.errors import EvaluationError
from train.evaluation.measure import evaluate
from train.evaluation.protocols import PROTOCOLS

QUICK = PROTOCOLS["quick"].reduced(fakes=40, reals=60)
METRICS = ("frechet", "kernel", "precision_recall", "diversity")


def test_a_spread_is_over_evaluations_from_one_seed_after_another(tmp_path: Path) -> None:
    dataset, G = tiny_dataset(tmp_path / "data"), tiny_generator()
    job = job_of(dataset, QUICK, *METRICS, seed=4)
    together = evaluate(replace(job, sample_sets=3), G, work_dir=tmp_path / "work")
    alone = [evaluate(replace(job, seed=seed), G).metrics for seed in (4, 5, 6)]
    for row, *singles in zip(together.metrics, *alone, strict=True):
        values = [single["value"] for single in singles]
        assert row["value"] == pytest.approx(np.mean(values))
        assert row["std"] == pytest.approx(np.std(values, ddof=1))
        assert row["std_over"] == "3 sample sets"
        assert [one["value"] for one in row["sample_sets"]] == values
        assert [one["seed"] for one in row["sample_sets"]] == [4, 5, 6]
        assert (row["name"], row["seed"], row["settings"]) == (singles[0]["name"], 4, singles[0]["settings"])
        assert "std_over" not in row["settings"]
    assert [one["std_over"] for one in together.metrics[-1]["sample_sets"]] == ["4 classes"] * 3
    kernel = next(row for row in together.metrics if row["metric"] == "kernel")
    assert kernel["sample_sets"][0]["std_over"] == "20 subsets"
    assert together.metrics[-1]["sample_sets"][1]["classes"] == alone[1][-1]["classes"]
    assert "over 3 sample sets" in together.lines()[0]
    assert together.provenance["seeds"]["sample_sets"] == 3
    files = sorted(path.relative_to(tmp_path / "work").as_posix() for path in (tmp_path / "work").rglob("*.json"))
    assert files == [f"seed-{seed}/class-{label:05d}.json" for seed in (4, 5, 6) for label in range(4)]


def test_numbers_of_sets_that_are_not_allowed(tmp_path: Path) -> None:
    job, G = job_of(tiny_dataset(tmp_path / "data"), QUICK), tiny_generator()
    refused(lambda: evaluate(replace(job, sample_sets=0), G), "--seeds 0: an integer from 1", by=EvaluationError)
    refused(lambda: evaluate(replace(job, seed=2**63 - 1, sample_sets=2), G), "--seed=", by=EvaluationError)


def flags(folder: Path, *more: str, out: str) -> list[str]:
    given = ["--model", folder / "model", "--data", folder / "data", "--protocol", "quick", "--out", folder / out]
    counts = "--extractor identity --fakes 30 --reals 30 --no-progress --no-cache --device cpu"
    return [*map(str, given), *counts.split(), *more]


def test_a_curve_has_the_scores_of_each_threshold(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    tiny_generator().save_pretrained(tmp_path / "model")
    write_dataset(tmp_path / "data")
    metrics = ("--metrics", "kernel", "precision_recall", "diversity")
    wanted = ("--truncation-curve", "none", "0.5", "--seeds", "2")
    assert command.main(flags(tmp_path, *metrics, *wanted, out="curve.json")) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if not line.startswith(" ")] == ["truncation none:", "truncation 0.5:"]
    curve = json.loads((tmp_path / "curve.json").read_text())
    assert [point["truncation"] for point in curve["curve"]] == [None, 0.5]
    assert {"protocol", "model", "dataset", "extractor"} <= curve.keys()
    assert command.main(flags(tmp_path, *metrics, "--truncation", "0.5", "--seed", "1", out="one.json")) == 0
    alone = json.loads((tmp_path / "one.json").read_text())["metrics"]
    seconds = [row["sample_sets"][1] for row in curve["curve"][1]["metrics"]]
    assert [one["value"] for one in seconds] == [row["value"] for row in alone]
    narrow, plain = (
        next(r["value"] for r in point["metrics"] if r["metric"] == "diversity")
        for point in (curve["curve"][1], curve["curve"][0])
    )
    assert narrow < plain
    with Image.open(tmp_path / "curve.png") as drawn:
        drawn.load()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curve.json", "curve.png", "data", "model", "one.json"]
    refused_command(command.main, ["--compare", tmp_path / "curve.json"], "not a metrics.json of train.evaluate")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--truncation-curve", "0.5", "all"], "--truncation-curve 'all': numbers from 0.05 and 'none' are allowed"),
        (["--truncation-curve", "0.5", "0.50"], "--truncation-curve '0.50': stands twice"),
        (["--truncation-curve", "0.5", "0.01"], "--truncation=0.01: None or a finite threshold from 0.05"),
        (["--truncation-curve", "0.5", "--truncation", "1"], "--truncation 1.0: not allowed with --truncation-curve"),
        (["--truncation-curve", "0.5", "--nearest", "n.png"], "--nearest n.png: not allowed with --truncation-curve"),
        (["--truncation-curve", "0.5", "--out", "a.png"], "--out a.png: the figure's name"),
        (["--truncation-curve", "0.5", "--out", "model.json"], "--out model.png: is a folder; a file is allowed"),
        (["--seeds", "0"], "--seeds 0: an integer from 1 is allowed"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], words: str) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_generator().save_pretrained(tmp_path / "model")
    write_dataset(tmp_path / "data")
    (tmp_path / "model.png").mkdir()
    refused_command(command.main, flags(tmp_path, *more, out="x.json"), words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "model", "model.png"]
