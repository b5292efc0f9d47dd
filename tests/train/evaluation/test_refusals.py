"""What cannot be scored is refused in one line; what goes wrong beside the scores costs none of them."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sngan_cond import Generator
from tests.refusals import refused, refused_command
from tests.train.evaluation.parts import (
    CLASSES,
    SIDE,
    job_of,
    measured,
    small_extractor,
    tiny_dataset,
    tiny_generator,
    write_dataset,
)
from train.data.dataset import PreparedDataset
from train.data.info import DatasetInfo
from train.errors import EvaluationError
from train.evaluation import classifier as classifier_command
from train.evaluation.checks import check
from train.evaluation.classifier import train_classifier
from train.evaluation.classifier_file import LoadedClassifier
from train.evaluation.distributed import Processes
from train.evaluation.extractors import load_extractor
from train.evaluation.fallback_extractors import EfficientNetLite0
from train.evaluation.protocols import PROTOCOLS, Protocol
from train.evaluation.report import Report
from train.evaluation.weights import INCEPTION, find_weights, read_tensors
from train.run.provenance import without_folders

QUICK = PROTOCOLS["quick"].reduced(fakes=40, reals=50)
BY_CLASS = PROTOCOLS["intra_class"].reduced(fakes=8, reals=20)


def score(
    dataset: PreparedDataset,
    *metrics: str,
    generator: Generator | None = None,
    protocol: Protocol = QUICK,
    **fields: object,
) -> Report:
    return measured(generator or tiny_generator(), dataset, protocol, *metrics, batch_size=16, **fields)


def renamed(folder: Path, **changes: object) -> PreparedDataset:
    """The tiny data set with another description."""
    write_dataset(folder)
    dataclasses.replace(DatasetInfo.read(folder / "dataset.json"), **changes).write(folder / "dataset.json")
    return PreparedDataset.open(folder)


@pytest.fixture
def dataset(tmp_path: Path) -> PreparedDataset:
    return tiny_dataset(tmp_path / "data")


def test_what_the_extra_eval_brings_is_asked_for_by_its_name(
    dataset: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("timm", "torchmetrics"):
        monkeypatch.setitem(sys.modules, package, None)
    brings = "is not installed; pip install -e '.[eval]' brings it"
    refused(
        lambda: EfficientNetLite0("stand-in", ["1280"]),
        f"--extractor efficientnet-lite0: the package timm {brings}",
    )
    refused(
        lambda: score(dataset, "ms_ssim", protocol=BY_CLASS), f"--metrics ms_ssim: the package torchmetrics {brings}"
    )
    assert score(dataset, "class_score").metrics  # asks for neither


@pytest.mark.parametrize("metric", ["class_score", "frechet", "ms_ssim", "intra_frechet"])
def test_images_that_are_not_finite_have_no_score(dataset: PreparedDataset, metric: str) -> None:
    """As uint8 they would be black, and scored like any other."""
    G = tiny_generator()
    with torch.no_grad():
        next(G.parameters()).fill_(torch.nan)
    by_class = metric in ("ms_ssim", "intra_frechet")
    protocol = BY_CLASS if by_class else QUICK
    said = "the generator makes images that are not finite, among 0 to "
    refused(lambda: score(dataset, metric, generator=G, protocol=protocol), said, "class 0: " if by_class else "")


def test_features_that_are_not_finite_have_no_score(dataset: PreparedDataset) -> None:
    extractor = small_extractor()
    extractor.module.mixture[0, 0] = torch.inf
    for metric, what in (("class_score", "generated images"), ("diversity", "images")):
        said = f"extractor {extractor.name}: its features of the {what} are not finite"
        refused(lambda metric=metric: score(dataset, metric, extractor=extractor), said)


def test_a_problem_of_one_process_is_everyones(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = Processes()
    with processes.fail_together():
        pass
    monkeypatch.setattr(processes, "gather_list", lambda items: [None, *items, "later"])
    with pytest.raises(EvaluationError, match="mine"), processes.fail_together():
        raise EvaluationError("mine")
    with pytest.raises(EvaluationError, match="later"), processes.fail_together():
        pass  # this one met none


def test_classes_in_another_order_are_refused(tmp_path: Path) -> None:
    names = ["bag", "boot", "coat", "dress"]
    data = renamed(tmp_path / "data", class_names=names)
    G = tiny_generator()
    G.config = dataclasses.replace(G.config, class_names=("boot", "bag", "coat", "dress"))
    for metric in ("intra_frechet", "ms_ssim"):
        said = "'boot' is class 1 there and class 0 of the model; the order must be the same"
        refused(lambda metric=metric: score(data, metric, generator=G, protocol=BY_CLASS), said)
    assert score(data, "class_score", generator=G).metrics  # asks for no class
    G.config = dataclasses.replace(G.config, class_names=("Taschen", "boot", "coat", "dress"))
    assert score(data, "ms_ssim", generator=G, protocol=BY_CLASS).metrics  # other words for the same classes


def test_a_classifier_in_another_order_is_refused(dataset: PreparedDataset, tmp_path: Path) -> None:
    test = PreparedDataset.open(write_dataset(tmp_path / "test", seed=2))
    network, metadata = train_classifier(dataset, test, epochs=1, width=4)
    metadata = dataclasses.replace(metadata, class_names=["bag", "boot", "coat", "dress"])
    G = tiny_generator()
    G.config = dataclasses.replace(G.config, class_names=("boot", "bag", "coat", "dress"))
    classifier = LoadedClassifier(network, metadata, "0" * 64)
    job = job_of(dataset, QUICK, "classifier_accuracy", classifier=classifier)
    refused(
        lambda: check(job, G), "--classifier: 'boot' is class 1 there and class 0 of the model"
    )  # the data names none


def test_a_class_of_one_image_has_no_covariance(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", count=CLASSES * 20 + 1, classes=CLASSES + 1)
    labels = np.load(folder / "labels.npy")
    lonely = np.flatnonzero(labels == CLASSES)[1:]
    labels[lonely] = 0
    np.save(folder / "labels.npy", labels)
    info = DatasetInfo.read(folder / "dataset.json")
    dataclasses.replace(info, images_per_class=np.bincount(labels).tolist()).write(folder / "dataset.json")
    data = PreparedDataset.open(folder, verify=False)
    G = tiny_generator(classes=CLASSES + 1)
    said = "class 4 has 1 images; intra_frechet needs at least 2 of every class"
    refused(lambda: score(data, "intra_frechet", generator=G, protocol=BY_CLASS), said)


def test_a_cache_that_cannot_be_written_costs_no_score(dataset: PreparedDataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.warns(UserWarning, match="features of the real images cannot be cached"):
        report = score(dataset, "frechet", cache=tmp_path / "file" / "cache")
    assert report.metrics == score(dataset, "frechet").metrics


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("imagefolder:/home/me/secret/train", "imagefolder:train"),
        ("torchvision:STL10:/data/stl", "torchvision:STL10:stl"),
        ("torchvision:STL10:D:\\data\\stl", "torchvision:STL10:stl"),
        ("arrays:\\\\server\\share\\mine", "arrays:mine"),
        ("/home/me/runs", "runs"),
        ("hf:user/name", "hf:user/name"),
        ("https://github.com/user/name", "https://github.com/user/name"),
        ("file:///home/me/x", "file:x"),
        ("shapes", "shapes"),
        ("bilinear, to 299 px", "bilinear, to 299 px"),
    ],
)
def test_places_of_this_machine_are_not_told(tmp_path: Path, source: str, said: str) -> None:
    assert without_folders({"a": [source]}) == {"a": [said]}
    report = score(renamed(tmp_path / "data", source=source), "class_score")
    assert report.provenance["dataset"]["source"] == said


@pytest.mark.parametrize("content", [b"", b"plain text\n", b"\x80\x02.", b"PK\x03\x04"])
def test_files_that_are_no_weights(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.pth"
    path.write_bytes(content)
    refused(lambda: read_tensors(path), "mine.pth: not a file of tensors written by torch.save (")


@pytest.mark.parametrize("checksum", ["", "abcd", "x" * 64])
def test_checksums_are_whole(tmp_path: Path, checksum: str) -> None:
    path = tmp_path / "mine.pth"
    torch.save({}, path)
    refused(lambda: find_weights(INCEPTION, path, expected_sha256=checksum), "64 hexadecimal digits are allowed")
    refused(lambda: load_extractor("identity", weights_sha256=checksum), "the identity extractor takes none")


@pytest.mark.parametrize("name", ["paper", "50k", "quick"])
def test_counts_never_grow_beyond_the_protocol(name: str) -> None:
    full, asked = PROTOCOLS[name], PROTOCOLS[name].reduced(fakes=10**6)
    assert (asked.score_fakes, asked.fakes, asked.fakes_per_class) == (
        full.score_fakes,
        full.fakes,
        full.fakes_per_class,
    )


def test_a_classifier_of_few_images(tmp_path: Path) -> None:
    """One update an epoch, four in all: the schedule would divide by a warm-up of one update less one."""
    data = PreparedDataset.open(write_dataset(tmp_path / "data", count=100))
    test = PreparedDataset.open(write_dataset(tmp_path / "test", count=40, seed=2))
    _, metadata = train_classifier(data, test, epochs=4, width=4)
    assert (metadata.train_count, metadata.test_count, metadata.resolution) == (100, 40, SIDE)
    refused(lambda: train_classifier(data, data), "holds the images of --data")


def test_a_classifier_without_a_place_is_not_trained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place, said in ((tmp_path, "is a folder"), (tmp_path / "file" / "c.safetensors", "cannot be written")):
        flags = ["--data", "nowhere", "--test", "nowhere", "--out", place]
        refused_command(classifier_command.main, flags, f"error: --out {place}: {said}")


def test_results_hold_no_folder(dataset: PreparedDataset, tmp_path: Path) -> None:
    assert str(tmp_path) not in json.dumps(dataclasses.asdict(score(dataset, "frechet")))
