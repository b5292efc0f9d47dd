"""Sources: folders, arrays and the Hub's package; what each refuses and how."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.processes import ROOT
from tests.train.data.images import image_folder, made, refused, smooth_image
from train.data.sources import FORMS, open_source
from train.data.sources.base import SourceRequest
from train.errors import DataError

# --- imagefolder


def test_classes_are_sorted_folders_and_hidden_names_are_left_out(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "p", {"zebra": 2, "ant": 3, ".cache": 1})
    smooth_image(1, 30, 30).save(root / "ant" / ".hidden.jpg")
    (root / "ant" / "deeper").mkdir()
    smooth_image(1, 30, 30).save(root / "ant" / "deeper" / "UPPER.PNG")
    dataset = made(tmp_path, f"imagefolder:{root}")
    assert dataset.class_names == ["ant", "zebra"]
    assert dataset.class_ids is None
    assert dataset.labels.tolist() == [0, 0, 0, 0, 1, 1]


def test_wordnet_folders_get_imagenets_names(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "p", {"n03888257": 1, "n01440764": 2})
    dataset = made(tmp_path, f"imagefolder:{root}")
    assert dataset.class_names == ["tench", "parachute"]
    assert dataset.class_ids == ["n01440764", "n03888257"]
    (root / "mine").mkdir()
    smooth_image(1, 30, 30).save(root / "mine" / "a.png")
    mixed = open_source(SourceRequest(f"imagefolder:{root}", resolution=16))
    assert (mixed.class_names, mixed.class_ids) == (["mine", "n01440764", "n03888257"], None)


def test_the_asset_holds_imagenets_classes_in_the_official_order() -> None:
    rows = json.loads((ROOT / "sngan_cond" / "assets" / "imagenet_classes.json").read_text(encoding="utf-8"))
    assert [row["index"] for row in rows] == list(range(1000))
    ids = [row["wnid"] for row in rows]
    assert ids == sorted(set(ids))
    assert (rows[0]["name"], rows[207]["wnid"], rows[999]["wnid"]) == ("tench", "n02099601", "n15075141")


def test_a_split_is_a_sub_folder(tmp_path: Path) -> None:
    image_folder(tmp_path / "p" / "train", {"a": 1, "b": 1})
    image_folder(tmp_path / "p" / "val", {"a": 2, "b": 1})
    dataset = made(tmp_path, f"imagefolder:{tmp_path / 'p'}", "--split", "val")
    assert dataset.info.images_per_class == [2, 1]
    assert dataset.info.split == "val"
    assert "holds splits, not classes; pass --split train" in refused(f"imagefolder:{tmp_path / 'p'}")
    assert "p/test is no folder; " in refused(f"imagefolder:{tmp_path / 'p'}", "--split", "test")


def test_images_without_classes(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "p", {"a": 2, "b": 1})
    smooth_image(4, 30, 30).save(root / "loose.png")
    dataset = made(tmp_path, f"imagefolder:{root}", "--unlabelled")
    assert (len(dataset), dataset.num_classes, dataset.labels.tolist()) == (4, 0, [0, 0, 0, 0])
    assert (dataset.info.images_per_class, dataset.class_names) == ([], [])


def test_bad_folders_are_named(tmp_path: Path) -> None:
    assert refused(f"imagefolder:{tmp_path / 'absent'}").endswith("absent is no folder")
    (tmp_path / "bare").mkdir()
    assert "bare holds no class sub-folder (or pass --unlabelled)" in refused(f"imagefolder:{tmp_path / 'bare'}")
    assert "bare holds no image (.jpg" in refused(f"imagefolder:{tmp_path / 'bare'}", "--unlabelled")
    root = image_folder(tmp_path / "p", {"a": 1})
    (root / "empty").mkdir()
    assert "p/empty holds no image (.jpg, .jpeg" in refused(f"imagefolder:{root}")


def test_names_that_are_no_text_do_not_end_a_run(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "p", {"a": 1})
    odd = bytes(root / "a") + b"/\xff\xfe.jpg"
    try:
        Path(odd.decode("utf-8", "surrogateescape")).write_bytes(b"no image")
    except OSError:
        pytest.skip("this file system takes only names that are text")
    dataset = made(tmp_path, f"imagefolder:{root}")
    assert dataset.info.skipped["examples"][0]["file"] == "a/��.jpg"


# --- arrays


def test_arrays_of_the_cifar_layout(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for split, count in (("train", 12), ("test", 6)):
        np.save(tmp_path / f"{split}_images.npy", rng.integers(0, 256, (count, 16, 16, 3), np.uint8))
        np.save(tmp_path / f"{split}_labels.npy", np.arange(count) % 3)
    (tmp_path / "class_names.json").write_text('["a", "b", "c"]')
    dataset = made(tmp_path, f"arrays:{tmp_path}", "--split", "test")
    np.testing.assert_array_equal(dataset.images, np.load(tmp_path / "test_images.npy"))
    assert dataset.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert "val_images.npy is missing" in refused(f"arrays:{tmp_path}", "--split", "val")
    np.save(tmp_path / "train_labels.npy", np.arange(12) % 4)
    assert "label 3; allowed is 0 to 2 (or pass --unlabelled)" in refused(f"arrays:{tmp_path}")
    np.save(tmp_path / "train_labels.npy", np.arange(12) % 2)
    assert "class 'c' has no image" in refused(f"arrays:{tmp_path}")
    np.save(tmp_path / "train_labels.npy", np.arange(5))
    assert "array is (5,) int64; allowed is (12,) integers" in refused(f"arrays:{tmp_path}")
    np.save(tmp_path / "train_images.npy", np.zeros((12, 3, 16, 16), np.uint8))
    assert "array is (12, 3, 16, 16) uint8; allowed is (N, H, W, 3)" in refused(f"arrays:{tmp_path}")
    np.save(tmp_path / "train_images.npy", np.zeros((5, 16, 16), np.uint8))
    for names in ("[1]", "[]", "{}"):
        (tmp_path / "class_names.json").write_text(names)
        assert refused(f"arrays:{tmp_path}").endswith("class_names.json is no list of class names")
    (tmp_path / "class_names.json").write_text("[")
    assert "class_names.json: cannot be read as JSON (" in refused(f"arrays:{tmp_path}")
    (tmp_path / "train_images.npy").write_bytes(b"")
    assert "train_images.npy is not a whole array" in refused(f"arrays:{tmp_path}")


# --- the Hub


def test_without_the_package_its_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    assert refused("hf:user/name") == "--source hf: needs the package datasets; pip install datasets"


@pytest.fixture
def hub_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set as the Hub serves it: a parquet file of encoded images and class labels."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets: Any = pytest.importorskip("datasets", reason="an optional package")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    features = datasets.Features(
        {"img": datasets.Image(), "fine": datasets.ClassLabel(names=["x", "y"]), "number": datasets.Value("int64")}
    )
    images = [smooth_image(i, 20 + i, 24) for i in range(6)]
    rows = {"img": images, "fine": [1, 0, 1, 0, 1, 0], "number": [30, 10, 20, 30, 10, 20]}
    (tmp_path / "repo").mkdir()
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(tmp_path / "repo" / "train.parquet"))
    return tmp_path / "repo"


def test_a_hub_data_set(hub_folder: Path, tmp_path: Path) -> None:
    dataset = made(tmp_path, f"hf:{hub_folder}")
    assert dataset.class_names == ["x", "y"]
    assert dataset.labels.tolist() == [1, 0, 1, 0, 1, 0]
    square = smooth_image(4, 24, 24).resize((16, 16), Image.Resampling.BILINEAR)  # stored as PNG, without loss
    np.testing.assert_array_equal(dataset.images[4], np.asarray(square))
    numbered = made(tmp_path / "numbered", f"hf:{hub_folder}", "--label-column", "number")
    assert numbered.class_names == ["10", "20", "30"]
    assert numbered.labels.tolist() == [2, 0, 1, 2, 0, 1]
    assert "pass --label-column with one of img, fine, number" in refused(f"hf:{hub_folder}", "--label-column", "nix")
    assert "cannot be loaded (" in refused(f"hf:{hub_folder}", "--split", "nix")
    assert "cannot be loaded (" in refused(f"hf:{tmp_path / 'absent'}")


# --- all


def test_unknown_kinds_are_named_with_the_nearest(tmp_path: Path) -> None:
    assert refused(str(tmp_path)).endswith(f"; did you mean imagefolder:{tmp_path}?")
    said = refused("imagefolders:x")
    assert said == f"--source is 'imagefolders:x'; allowed are {FORMS}; did you mean imagefolder?"
    assert refused("imagefolder") == "--source is 'imagefolder'; allowed is imagefolder:PATH"
    assert refused("hf:") == "--source is 'hf:'; allowed is hf:REPO[:CONFIG]"
    assert refused("shapes", "--labels", "x.csv") == "--labels is 'x.csv'; allowed for an imagefolder only"
    assert "number of classes is 'many'; allowed is 1 to 14400" in refused("shapes:many")
    assert "--split is 'val'; allowed for shapes are train, test" in refused("shapes", "--split", "val")
    assert "--limit is 1000000000; allowed for shapes is 1 to 10000000" in refused("shapes", "--limit", 10**9)
    with pytest.raises(DataError, match=r"--seed is -1"):
        open_source(SourceRequest("shapes", resolution=8, seed=-1))
