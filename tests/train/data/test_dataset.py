"""Opening a prepared data set: what it offers, and how every damage is named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.refusals import refused
from tests.train.data.images import prepare
from train.data.dataset import PreparedDataset
from train.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    out = tmp_path / "shapes"
    assert prepare("--source", "shapes:4", "--resolution", 8, "--limit", 14, "--workers", 1, "--out", out)[0] == 0
    return out


def test_a_prepared_folder_opens_with_everything_it_says(folder: Path) -> None:
    dataset = PreparedDataset.open(folder, verify=True)
    assert (len(dataset), dataset.resolution, dataset.num_classes) == (14, 8, 4)
    assert dataset.images.shape == (14, 8, 8, 3)
    assert dataset.images.dtype == np.uint8
    assert isinstance(dataset.images, np.memmap)
    assert dataset.labels.tolist() == [0, 1, 2, 3] * 3 + [0, 1]
    assert dataset.labels.dtype == np.int64
    assert dataset.class_names == ["disc", "square", "triangle", "ring"]
    assert dataset.class_ids is None
    assert dataset.info.images_per_class == [4, 4, 3, 3]


def edit_info(**changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        info = json.loads((folder / "dataset.json").read_text()) | changes
        info = {name: value for name, value in info.items() if value != "absent"}
        (folder / "dataset.json").write_text(json.dumps(info))

    return edit


def edit_labels(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    return lambda folder: np.save(folder / "labels.npy", change(np.load(folder / "labels.npy")))


def cut(name: str, size: int) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def with_label(value: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda labels: np.where(np.arange(len(labels)) == 5, value, labels)


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (cut("images.npy", 1000), "images.npy: not a whole array"),
    (cut("images.npy", 50), "images.npy: not a whole array"),
    (cut("images.npy", 0), "images.npy: not a whole array"),
    (cut("labels.npy", 200), "labels.npy: not a whole array"),
    (lambda folder: np.save(folder / "images.npy", np.zeros((14, 8, 8), np.uint8)), r"array is \(14, 8, 8\) uint8"),
    (lambda folder: np.save(folder / "images.npy", np.zeros((14, 8, 8, 3), np.float32)), "float32"),
    (edit_labels(lambda labels: labels.astype(np.int32)), r"\(14,\) int32, dataset.json asks for \(14,\) int64"),
    (edit_labels(with_label(4)), "label 4 at position 5; allowed is 0 to 3"),
    (edit_labels(with_label(-1)), "label -1 at position 5; allowed is 0 to 3"),
    (edit_labels(lambda labels: np.where(labels == 3, 0, labels)), r"class 3 \('ring'\) has no image"),
    (edit_labels(with_label(0)), "class 0 has 5 images, dataset.json says 4"),
    (lambda folder: (folder / "dataset.json").write_text("{"), "dataset.json: cannot be read as JSON"),
    (lambda folder: (folder / "dataset.json").write_bytes(b"\xff"), "dataset.json: cannot be read as JSON"),
    (lambda folder: (folder / "dataset.json").write_text("[]"), "a JSON object is expected, there is a list"),
    (edit_info(version=2), "version is 2, allowed is 1"),
    (edit_info(resolution=-8), "resolution is -8; allowed is a positive integer"),
    (edit_info(resolution=16), r"asks for \(14, 16, 16, 3\)"),
    (edit_info(count=True), "count is True"),
    (edit_info(class_names=["a", 3]), "class_names is .* list of strings"),
    (edit_info(class_names=["a"]), "images_per_class is .* a list of 1 entries"),
    (edit_info(class_ids=["n1"]), "class_ids is .* a list of 4 entries"),
    (edit_info(images_per_class=[1, 1, 1, 1]), "images_per_class is .* sum to 14"),
    (edit_info(sha256={}), "sha256 is {}; allowed is digests of images.npy and labels.npy"),
    (edit_info(crop="center"), "field 'crop' is unknown"),
    (edit_info(split="absent"), "field 'split' is missing"),
    (lambda folder: (folder / "labels.npy").unlink(), "holds no labels.npy; make a data set with"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES, ids=[message[:40] for _, message in DAMAGES])
def test_damage_is_named_on_one_line(folder: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(folder)
    with pytest.raises(DataError, match=message) as caught:
        PreparedDataset.open(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_changed_pixel_is_found_by_verify_alone(folder: Path) -> None:
    content = bytearray((folder / "images.npy").read_bytes())
    content[-1] ^= 1
    (folder / "images.npy").write_bytes(content)
    PreparedDataset.open(folder)
    with pytest.raises(DataError, match=r"images.npy: sha256 is [0-9a-f]{64}, dataset.json says"):
        PreparedDataset.open(folder, verify=True)


def test_no_folder_a_file_and_an_unfinished_preparation_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "begun.partial").mkdir()
    refused(lambda: PreparedDataset.open(tmp_path / "absent"), "no such folder; make it with python", by=DataError)
    refused(lambda: PreparedDataset.open(tmp_path / "file"), "is a file; allowed is the folder", by=DataError)
    refused(lambda: PreparedDataset.open(tmp_path / "begun"), "not yet whole; continue it with the same", by=DataError)
