"""Density, coverage and authenticity against definitions written out by numpy, closed forms and hand-made points."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sngan_cond.sampling import to_uint8
from tests.train.evaluation.parts import job_of, tiny_dataset, tiny_generator, write_dataset
from train import evaluate as command
from train.evaluation import measured, neighbours
from train.evaluation.measure import evaluate
from train.evaluation.neighbours import density_and_coverage, nearest_reals
from train.evaluation.protocols import PROTOCOLS
from train.evaluation.streams import FakeStream, draw_labels, real_indices


def points(count: int, width: int, seed: int, *, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def distances(a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
    return np.linalg.norm(a.double().numpy()[:, None] - b.double().numpy()[None], axis=2)


@pytest.mark.parametrize("at_a_time", [neighbours.DISTANCES, 200])
def test_density_and_coverage_are_their_definitions(monkeypatch: pytest.MonkeyPatch, at_a_time: int) -> None:
    monkeypatch.setattr(neighbours, "DISTANCES", at_a_time)
    for k in (1, 5):
        fakes, reals = points(70, 4, 0, scale=0.7), points(110, 4, 1)
        radii = np.sort(distances(reals, reals), axis=1)[:, k]  # the nearest is the point itself
        near = distances(fakes, reals) <= radii
        expected = near.sum() / (k * len(fakes)), near.any(axis=0).mean()
        assert density_and_coverage(fakes, reals, neighbours=k) == pytest.approx(expected, rel=1e-9)
        assert 0 < expected[1] < 1


def test_density_and_coverage_of_one_distribution_are_those_of_theory() -> None:
    """Naeem et al. 2020: of equal distributions, density is 1 and coverage 1 - (M-1)...(M-k) / ((M+N-1)...(M+N-k))."""
    k, fakes, reals = 5, points(1500, 6, 0), points(1000, 6, 1)
    missed = np.prod([(1000 - i) / (2500 - i) for i in range(1, k + 1)])
    density, coverage = density_and_coverage(fakes, reals, neighbours=k)
    assert coverage == pytest.approx(1 - missed, abs=0.01)  # missed is 0.01; of 1,000 reals, within 3 deviations
    assert density == pytest.approx(1, abs=0.1)


def test_density_and_coverage_at_their_ends() -> None:
    reals = points(60, 3, 0)
    assert density_and_coverage(reals + 100, reals, neighbours=5) == (0, 0)
    copies = density_and_coverage(reals, reals, neighbours=5)
    assert copies[0] == pytest.approx(6 / 5, rel=0.15)  # each near itself and, on average, to k others
    assert copies[1] == 1
    density, coverage = density_and_coverage(reals[:1].expand(40, 3), reals, neighbours=5)
    assert density >= 1 / 5
    assert coverage == pytest.approx(5 * density / 60)  # the reals near the one point are the only ones covered


def test_authenticity_of_points_made_by_hand() -> None:
    """Reals at 0, 2, 10, 13 and twice at 30 on a line: the first is 2 from others, the third 3, the last 0."""
    reals = torch.tensor([[0.0], [2.0], [10.0], [13.0], [30.0], [30.0]])
    fakes = torch.tensor([[-1.9], [-2.0], [-2.1], [0.0], [7.5], [6.5], [30.0], [30.5]])
    found = nearest_reals(fakes, reals, count=3)
    assert found.distances[:, 0].tolist() == pytest.approx([1.9, 2, 2.1, 0, 2.5, 3.5, 0, 0.5])
    assert found.apart.tolist() == [2, 2, 2, 2, 3, 3, 0, 0]
    assert found.authentic.tolist() == [False, False, True, False, False, True, False, True]
    assert found.reals[0].tolist() == [0, 1, 2]
    assert found.ratios.tolist() == pytest.approx([0.95, 1, 1.05, 0, 2.5 / 3, 3.5 / 3, 0, np.inf])


@pytest.mark.parametrize("at_a_time", [neighbours.DISTANCES, 200])
def test_nearest_reals_are_those_of_numpy(monkeypatch: pytest.MonkeyPatch, at_a_time: int) -> None:
    monkeypatch.setattr(neighbours, "DISTANCES", at_a_time)
    reals, fakes = points(90, 40, 0) + 30, points(50, 40, 1) + 30  # far from 0, where products lose digits
    fakes[3] = reals[7]
    found = nearest_reals(fakes, reals, count=4)
    between, among = distances(fakes, reals), distances(reals, reals) + np.diag([np.inf] * 90)
    assert np.array_equal(found.reals.numpy(), between.argsort(axis=1)[:, :4])
    assert found.distances.numpy() == pytest.approx(np.sort(between, axis=1)[:, :4], rel=1e-5)
    assert found.distances[3, 0] == 0
    assert found.apart.numpy() == pytest.approx(among.min(axis=1)[between.argmin(axis=1)], rel=1e-5)


def test_a_report_names_the_closest_samples_and_real_images(tmp_path: Path) -> None:
    """Of a data set into which three samples were put, these are no longer authentic, and come first."""
    protocol, G = PROTOCOLS["quick"].reduced(fakes=40, reals=50), tiny_generator()
    labels = draw_labels(40, 4, "balanced", 0)
    with torch.no_grad():
        samples = to_uint8(G(FakeStream(G, labels, 40, seed=0, part="all").latents(0, 40), labels))
    dataset = tiny_dataset(tmp_path / "data")
    chosen, copied = real_indices(dataset, 50)[[4, 20, 33]].tolist(), [7, 2, 30]
    images = np.array(dataset.images)
    images[chosen] = samples[copied].permute(0, 2, 3, 1).numpy()
    dataset.images = images
    (row,) = evaluate(job_of(dataset, protocol, "authenticity"), G).metrics
    first = row["closest"][:3]
    assert {case["sample"]: case["reals"][0] for case in first} == dict(zip(copied, chosen, strict=True))
    assert [case["label"] for case in first] == [int(labels[case["sample"]]) for case in first]
    assert all(case["distances"][0] == pytest.approx(0, abs=0.05) for case in first)  # a batch's rounding
    assert not any(case["authentic"] for case in first)
    assert row["value"] <= 37 / 40
    assert row["remark"] == "against 50 of 240 images: copies of the others are not seen"
    (row,) = evaluate(job_of(dataset, replace(protocol, reals=240), "authenticity"), G).metrics
    assert "remark" not in row


def test_the_closest_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "CLOSEST_SAMPLES", 2)
    tiny_generator().save_pretrained(tmp_path / "model")
    data, picture, out = write_dataset(tmp_path / "data"), tmp_path / "nearest.png", tmp_path / "metrics.json"
    flags = ["--model", tmp_path / "model", "--data", data, "--protocol", "quick", "--out", out, "--nearest", picture]
    more = "--extractor identity --metrics precision_recall --fakes 30 --reals 30 --no-progress --no-cache --device cpu"
    assert command.main([*map(str, flags), *more.split()]) == 0
    rows = {row["metric"]: row for row in json.loads(out.read_text())["metrics"]}
    assert list(rows) == ["precision_recall", "authenticity"]
    assert len(rows["authenticity"]["closest"]) == 2
    with Image.open(picture) as drawn:
        drawn.load()
        assert drawn.width > 2 * drawn.height  # 6 images a row
