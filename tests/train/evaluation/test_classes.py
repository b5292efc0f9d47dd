"""Scores within a class: known values, a model that ignores its label, and going on at the class."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.refusals import refused
from tests.train.evaluation.parts import CLASSES, measured, tiny_dataset, tiny_generator
from train.evaluation import classes
from train.evaluation.measured import Measured, ms_ssim
from train.evaluation.ms_ssim import ms_ssim_form
from train.evaluation.protocols import PROTOCOLS

PROTOCOL = PROTOCOLS["intra_class"].reduced(fakes=60, reals=50)


@pytest.mark.parametrize("side", [16, 32, 48, 64, 128, 176])
def test_ms_ssim_of_identical_images_is_1_and_of_noise_near_0(side: int) -> None:
    rng = torch.Generator().manual_seed(side)
    first, second = torch.randint(0, 256, (2, 3, 3, side, side), dtype=torch.uint8, generator=rng)
    assert torch.allclose(ms_ssim(first, first), torch.ones(3), atol=1e-5)
    assert ms_ssim(first, second).mean() < 0.1
    half = (first.float() * 0.5 + second.float() * 0.5).to(torch.uint8)
    assert 0.1 < ms_ssim(first, half).mean() < 0.99


def test_ms_ssim_takes_the_published_form_where_it_fits() -> None:
    assert (ms_ssim_form(256).scales, ms_ssim_form(256).window_px) == (5, 11)
    assert (ms_ssim_form(128).scales, ms_ssim_form(128).window_px) == (5, 7)
    assert ms_ssim_form(256).sigma_px == 1.5
    assert ms_ssim_form(128).sigma_px == pytest.approx(1.5 * 7 / 11)  # a smaller window of the same form
    assert ms_ssim_form(32).scales == 3
    assert sum(ms_ssim_form(32).weights) == pytest.approx(1)
    refused(lambda: ms_ssim_form(8), "ms_ssim at 8 px: images from 16 px are allowed")


def test_diversity_is_the_root_mean_square_distance_of_pairs() -> None:
    features = torch.randn(40, 7, generator=torch.Generator().manual_seed(0)) * torch.arange(1.0, 8)
    expected = torch.pdist(features.double()).square().mean().sqrt()
    ((found, _),) = Measured(PROTOCOL, {"features": features}).diversity()
    assert found == pytest.approx(float(expected), rel=1e-9)


def test_a_model_that_ignores_its_label_scores_alike_in_every_class(tmp_path: Path) -> None:
    dataset = tiny_dataset(tmp_path / "data")
    same, other = (
        {row["metric"]: row for row in measured(G, dataset, PROTOCOL, "ms_ssim", "diversity", seed=2).metrics}
        for G in (tiny_generator(ignores_label=True), tiny_generator())
    )

    def spread(rows: dict) -> float:
        """Largest distance of a class's MS-SSIM from the mean, in standard errors."""
        errors = [entry["std"] / PROTOCOL.pairs_per_class**0.5 for entry in rows["ms_ssim"]["classes"]]
        return max(
            abs(entry["value"] - rows["ms_ssim"]["value"]) / error
            for entry, error in zip(rows["ms_ssim"]["classes"], errors, strict=True)
        )

    assert spread(same) < 3.5  # 4 classes: a normal draw passes in 499 of 500 seeds
    assert spread(other) > 5
    assert same["diversity"]["std"] / same["diversity"]["value"] < 0.15
    values = [entry["value"] for entry in same["ms_ssim"]["classes"]]
    assert len(set(values)) == CLASSES  # each class has latents of its own


def test_rows_hold_mean_every_class_and_the_worst(tmp_path: Path) -> None:
    dataset = tiny_dataset(tmp_path / "data")
    report = measured(tiny_generator(), dataset, PROTOCOL)
    rows = {row["metric"]: row for row in report.metrics}
    assert set(rows) == {"intra_frechet", "ms_ssim", "diversity"}
    for metric, row in rows.items():
        each = [entry["value"] for entry in row["classes"]]
        assert [entry["name"] for entry in row["classes"]] == dataset.class_names
        assert row["value"] == pytest.approx(np.mean(each))
        assert row["std"] == pytest.approx(np.std(each))
        worst = [entry["value"] for entry in row["worst_classes"]]
        assert worst == sorted(each, reverse=metric != "diversity")
    assert rows["intra_frechet"]["settings"]["fakes_per_class"] == 60
    assert rows["intra_frechet"]["real_count"] == CLASSES * 50
    assert rows["ms_ssim"]["settings"]["pairs_per_class"] == 30


def test_a_stopped_evaluation_goes_on_at_the_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, work = tiny_dataset(tmp_path / "data"), tmp_path / "m.json.classes"
    G = tiny_generator()
    whole_report = measured(G, dataset, PROTOCOL)
    scored, real_score = [], classes._score_class

    def stopping(job, generator, metrics, label: int):
        if label == 2 and not scored.count("stopped"):
            scored.append("stopped")
            raise KeyboardInterrupt
        scored.append(label)
        return real_score(job, generator, metrics, label)

    monkeypatch.setattr(classes, "_score_class", stopping)
    with pytest.raises(KeyboardInterrupt):
        measured(G, dataset, PROTOCOL, work_dir=work)
    assert measured(G, dataset, PROTOCOL, work_dir=work).metrics == whole_report.metrics
    assert scored == [0, 1, "stopped", 2, 3]
    path = work / "class-00001.json"
    whole = path.read_text()
    texts = ('{"identity": "cut', "[" * 10**5, "[]", whole.replace('"reals": 50', '"reals": "50"'))
    for times, damaged in enumerate(texts, start=1):
        path.write_text(damaged)
        assert measured(G, dataset, PROTOCOL, work_dir=work).metrics == whole_report.metrics
        assert scored[5:] == [1] * times  # a damaged class is done again
        assert path.read_text() == whole
    measured(G, dataset, PROTOCOL, work_dir=work, seed=9)
    assert scored[9:] == [0, 1, 2, 3]  # another seed is another evaluation
    kept = json.loads((work / "class-00003.json").read_text())
    assert kept["result"]["name"] == "class 3"
    classes.remove_class_files(work)
    assert not work.exists()


def test_models_and_data_without_classes_are_refused(tmp_path: Path) -> None:
    dataset = tiny_dataset(tmp_path / "data")
    for count, said in ((0, "a model and a data set with classes are needed"), (3, "4 classes; the model has 3")):
        refused(partial(measured, tiny_generator(classes=count), dataset, PROTOCOL), said)
