"""Classification accuracy score: a classifier learns from generated images and is tested on real ones."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.refusals import refused, refused_command
from tests.train.evaluation.parts import job_of, tiny_generator, write_dataset
from train import evaluate as command
from train.data.dataset import PreparedDataset
from train.errors import EvaluationError
from train.evaluation.checks import check, check_held_out
from train.evaluation.classifier import accuracy, batches_of, fit_classifier
from train.evaluation.measured import Measured
from train.evaluation.protocols import PROTOCOLS
from train.prepare import main as prepare

QUICK = replace(PROTOCOLS["quick"].reduced(fakes=40, reals=50), cas_epochs=2)
CPU = torch.device("cpu")


def shapes(folder: Path, *, count: int, seed: int, classes: int = 6) -> PreparedDataset:
    """Drawn shapes of 16 px."""
    line = f"--source shapes:{classes} --resolution 16 --limit {count} --seed {seed} --workers 1 --out {folder}"
    assert prepare(line.split()) == 0
    return PreparedDataset.open(folder)


def described(dataset: PreparedDataset, **changes: object) -> PreparedDataset:
    """A data set's images under another description."""
    changed = copy.copy(dataset)
    changed.info = replace(dataset.info, **changes)
    return changed


@pytest.mark.slow
def test_labels_that_fit_teach_and_labels_that_do_not_teach_nothing(tmp_path: Path) -> None:
    """Drawn shapes in place of samples: their own labels give nearly all, shuffled ones what chance gives."""
    samples, test = shapes(tmp_path / "a", count=1200, seed=1), shapes(tmp_path / "b", count=600, seed=2)
    images, labels = batches_of(samples, CPU)(torch.arange(1200))
    shuffled = labels[torch.randperm(1200, generator=torch.Generator().manual_seed(0))]
    protocol = replace(QUICK, cas_epochs=12)

    def scores(labels: torch.Tensor, seed: int = 0) -> list[float]:
        rows = {"images": images, "labels": labels}
        found = Measured(protocol, rows, test=test, seed=seed).classification_accuracy_score()
        return [value for value, _ in found]

    top1, top5 = scores(labels)
    assert top1 > 0.85
    assert top5 > 0.98
    assert scores(labels) == [top1, top5]
    assert scores(labels, seed=1) != [top1, top5]
    chance1, chance5 = scores(shuffled)
    assert chance1 == pytest.approx(1 / 6, abs=0.1)  # 600 images: 0.015 of sampling, the rest of what is learnt by rote
    assert chance5 == pytest.approx(5 / 6, abs=0.1)


def test_accuracies_are_those_of_the_classifier_by_numpy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, test = shapes(tmp_path / "a", count=120, seed=1), shapes(tmp_path / "b", count=90, seed=2)
    form = {"num_classes": 6, "resolution": 16, "width": 4, "epochs": 1, "seed": 3, "device": CPU}
    seeds: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    before = torch.get_rng_state()
    classifier = fit_classifier(batches_of(data, CPU), 120, **form)
    assert torch.equal(torch.get_rng_state(), before)
    assert not seeds  # of a GPU's generators, which belong to who calls
    with torch.no_grad():
        logits = classifier(torch.from_numpy(test.images[:].transpose(0, 3, 1, 2).copy())).numpy()
    ranks = (-logits).argsort(axis=1)
    for top in (1, 5):
        expected = np.mean([label in ranked[:top] for label, ranked in zip(test.labels, ranks, strict=True)])
        assert accuracy(classifier, test, top=top) == pytest.approx(expected)


def test_the_command_trains_on_samples_and_tests_on_real_images(tmp_path: Path) -> None:
    tiny_generator().save_pretrained(tmp_path / "model")
    data, test = write_dataset(tmp_path / "data"), write_dataset(tmp_path / "test", seed=2, count=100)
    found = []
    for name in ("a.json", "b.json"):
        flags = ["--model", tmp_path / "model", "--data", data, "--test", test, "--out", tmp_path / name]
        more = "--protocol quick --metrics precision_recall --extractor identity --fakes 40 --reals 30 --device cpu"
        assert command.main([*map(str, flags), *more.split(), "--no-cache", "--no-progress"]) == 0
        found.append(json.loads((tmp_path / name).read_text())["metrics"])
    assert found[0] == found[1]
    refused_command(command.main, [*map(str, flags), *more.split(), "--test", data], "holds the images of --data")
    row = found[0][-1]  # four classes: no top-5
    assert row["name"] == "classification_accuracy_score_small_cnn"
    assert (row["fake_count"], row["real_count"], row["settings"]["test_images"]) == (40, 0, 100)
    assert "ResNet-50" in row["settings"]["network"]
    assert row["settings"]["test_sha256"] == PreparedDataset.open(test).info.sha256["images.npy"]
    assert row["value"] * 100 == pytest.approx(round(row["value"] * 100))
    assert [one["name"] for one in found[0][:2]] == ["precision_identity", "recall_identity"]


def test_a_test_set_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    data, other = (
        PreparedDataset.open(write_dataset(tmp_path / name, seed=seed)) for name, seed in (("a", 1), ("b", 2))
    )
    job = job_of(data, QUICK, "classification_accuracy_score", extractor=None, test=other)
    G = tiny_generator()
    check(job, G)
    wide = PreparedDataset.open(write_dataset(tmp_path / "c", side=32, seed=3))
    turned = described(other, class_names=[f"class {label}" for label in (0, 2, 1, 3)])
    ids = ["n1", "n2", "n3", "n4"]
    with_ids, ids_turned = described(data, class_ids=ids), described(other, class_ids=ids[::-1])
    check(replace(job, test=described(other, class_ids=ids, class_names=[*"ABCD"]), dataset=with_ids), G)
    check(replace(job, test=data), G)  # as during a run, where one held-out set may be both
    check_held_out(job, data, "--data")
    said = f"--test {data.folder}: holds the images of --data; others are allowed"
    refused(lambda: check_held_out(replace(job, test=data), data, "--data"), said, by=EvaluationError)
    for changed, words in (
        (replace(job, test=None), "--metrics classification_accuracy_score: --test DIR is needed"),
        (replace(job, test=turned), "its classes, in order, differ from those of --data"),
        (replace(job, test=ids_turned, dataset=with_ids), "its classes, in order, differ from those of --data"),
        (replace(job, test=wide), "4 classes at 32 px; the model has 4 at 16 px"),
    ):
        refused(lambda changed=changed: check(changed, G), words, by=EvaluationError)
    refused(lambda: check(job, tiny_generator(classes=0)), "a model with classes is needed", by=EvaluationError)
