"""Scores of real images: two sides without a common image, and numpy's numbers of the same images."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.refusals import refused
from tests.train.test_reproduce import row_of
from train.data.dataset import PreparedDataset
from train.errors import EvaluationError
from train.evaluation.job import Evaluation
from train.evaluation.metrics import metrics_named
from train.evaluation.protocols import protocol_named
from train.presets.index import TABLES
from train.reproduction import measures
from train.reproduction.real_data import score_real_images
from train.reproduction.runner import draw_smoke_data, run_task
from train.reproduction.task import SMOKE_DATA, Budget, Scoring, Task


@dataclass
class Channels:
    """An extractor of three features, the means of the channels over 100; notes which images it has read."""

    read_images: list[Tensor]
    name: str = "channels"
    sha256: str = "00"
    is_published: bool = False
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def read(self, images: Tensor) -> dict[str, Tensor]:
        self.read_images.append(images)
        features = images.double().mean((2, 3)) / 100
        return {"features": features, "logits": features}


def job_of(folder: Path, extractor: Channels, **counts: int) -> Evaluation:
    protocol = replace(protocol_named("paper"), **{"score_splits": 1, **counts})
    metrics = metrics_named(("class_score", "frechet"))
    fields: Any = {"dataset": PreparedDataset.open(folder), "protocol": protocol, "metrics": metrics}
    return Evaluation(**fields, extractor=extractor, batch_size=1000)


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Of Gaussians: |mu - mu'|^2 + tr(S + S' - 2 (S S')^(1/2)), by the eigenvalues of S S'."""
    mean, (s, t) = a.mean(0) - b.mean(0), (np.cov(side, rowvar=False) for side in (a, b))
    roots = np.sqrt(np.linalg.eigvals(s @ t).real.clip(min=0))
    return float(mean @ mean + np.trace(s) + np.trace(t) - 2 * roots.sum())


def test_real_images_are_compared_with_others_of_their_set(tiny_data: Path) -> None:
    extractor = Channels([])
    job = job_of(tiny_data, extractor, reals=90, fakes=60, score_fakes=150)
    score, distance = score_real_images(job, tiny_data / "none")
    scored, reals, others = (images.numpy() for images in extractor.read_images)
    assert [len(scored), len(reals), len(others)] == [150, 90, 60]
    sides = [{image.tobytes() for image in side} for side in (reals, others)]
    assert not sides[0] & sides[1]
    # the features are float64 and so is numpy's arithmetic
    features = [side.astype(float).mean((2, 3)) / 100 for side in (scored, reals, others)]
    assert distance["value"] == pytest.approx(frechet(features[1], features[2]), rel=1e-6)
    p = np.exp(features[0]) / np.exp(features[0]).sum(1, keepdims=True)
    assert score["value"] == pytest.approx(np.exp((p * np.log(p / p.mean(0))).sum(1).mean()), rel=1e-9)
    assert (distance["name"], distance["protocol"]) == (
        "frechet_channels",
        "paper, real images against others of the same set",
    )
    assert (score["name"], score["protocol"]) == ("class_score_channels", "paper, 150 real images")
    again = [row["value"] for row in score_real_images(job, tiny_data / "none")]
    assert again == [score["value"], distance["value"]]


def test_a_set_too_small_for_two_sides_takes_the_second_from_its_test_split(tiny_data: Path, tmp_path: Path) -> None:
    draw_smoke_data(tmp_path, {16}, suffix="-test", seed=1)
    test = PreparedDataset.open(tmp_path / "16-test")
    job, extractor = job_of(tiny_data, Channels([]), reals=200, fakes=30, score_fakes=50), Channels([])
    words = (
        "200 images; 230 are needed",
        "the 200 and the 30 others",
        "where there is none (train.prepare --split test)",
    )
    refused(lambda: score_real_images(job, tmp_path / "none"), *words, by=EvaluationError)
    many = job_of(tiny_data, Channels([]), reals=200, fakes=50, score_fakes=50)
    refused(lambda: score_real_images(many, test.folder), "or a test split of 50, and", "has 40", by=EvaluationError)
    distance = score_real_images(replace(job, extractor=extractor), test.folder)[1]
    _, reals, others = (images.numpy() for images in extractor.read_images)
    assert len(reals) == 200
    unseen = {image.tobytes() for image in np.moveaxis(np.array(test.images), 3, 1)}
    assert len(unseen) == 40
    chosen = {image.tobytes() for image in others}
    assert len(chosen) == 30
    assert chosen < unseen
    features = [side.astype(float).mean((2, 3)) / 100 for side in (reals, others)]
    assert distance["value"] == pytest.approx(frechet(*features), rel=1e-6)
    assert distance["protocol"] == "paper, real images against those of the test split"


def test_every_set_of_real_data_holds_what_its_protocol_asks() -> None:
    """Images by the sets' own papers: training images (of CelebA all), and those of the test split."""
    images = {"cifar10-32": 50_000, "stl10-48": 100_000, "stl10-48-box": 100_000, "celeba-64-box": 202_599}
    images["imagenet-128"] = 1_281_167
    unseen = {"cifar10-32": 10_000}
    split = set()
    for table in TABLES:
        protocol = protocol_named(table.paper.protocol)
        for row in table.rows:
            if row.real is None or "fid" not in row.reported:
                continue
            name = Path(row.real.path).name
            if images[name] < protocol.reals + protocol.fakes:
                assert images[name] >= protocol.reals
                assert unseen[name] >= protocol.fakes
                split.add(table.preset(row))
    assert split == {"report/table1/real"}


def test_a_row_of_real_data_is_measured_under_smoke_without_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, row = row_of("bssn/table6", "stl10_real")
    scoring = Scoring(extractor="channels", fakes=20, reals=20)
    task = Task(table=table, row=row, seed=0, budget=Budget(name="smoke"), scoring=scoring, folder=tmp_path)
    draw_smoke_data(tmp_path / SMOKE_DATA, {task.resolution})
    opened: list[Any] = []

    def open_toy(asked: Any, dataset: PreparedDataset, **_: Any) -> Evaluation:
        opened.append((asked.protocol, dataset.resolution))
        return job_of(dataset.folder, Channels([]), reals=asked.reals, fakes=asked.fakes, score_fakes=asked.fakes)

    monkeypatch.setattr(measures, "open_evaluation", open_toy)
    monkeypatch.setattr(measures, "evaluate", SimpleNamespace())  # nothing is generated
    result = run_task(task)
    assert opened == [("bsn", 48)]
    assert (result.steps, result.reasons) == (0, {})
    assert list(result.measured) == ["inception_score", "fid"]
    assert run_task(task) == result  # read
    assert len(opened) == 1
