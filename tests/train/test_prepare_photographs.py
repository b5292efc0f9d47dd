"""Real data, where it is at hand: ImageNet's photographs and Fashion-MNIST."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.train.data.images import FASHION, PHOTOGRAPHS, contents, prepare, refusal
from train.data.dataset import PreparedDataset

needs_photographs = pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="Imagenette is not in ../shared/data")
needs_fashion = pytest.mark.skipif(not FASHION.is_dir(), reason="Fashion-MNIST is not in ../shared/data")


@needs_photographs
def test_photographs_are_cropped_and_reduced_as_officially(tmp_path: Path) -> None:
    line = ("--source", f"imagefolder:{PHOTOGRAPHS}", "--split", "val", "--resolution", 128, "--limit", 60)
    assert prepare(*line, "--workers", 2, "--out", tmp_path / "out")[0] == 0
    dataset = PreparedDataset.open(tmp_path / "out", verify=True)
    assert (len(dataset), dataset.info.images_per_class) == (60, [6] * 10)
    assert (dataset.class_names[0], dataset.class_ids[0]) == ("tench", "n01440764")
    assert (dataset.class_names[9], dataset.class_ids[9]) == ("parachute", "n03888257")
    first = sorted((PHOTOGRAPHS / "val" / "n03888257").iterdir())[0]
    pixels = np.asarray(Image.open(first).convert("RGB"))
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = Image.fromarray(pixels[top : top + side, left : left + side])
    expected = np.asarray(square.resize((128, 128), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(dataset.images[54], expected)


@needs_photographs
def test_damage_among_photographs_is_reported(tmp_path: Path) -> None:
    for folder in sorted((PHOTOGRAPHS / "train").iterdir())[:2]:
        (tmp_path / "p" / folder.name).mkdir(parents=True)
        for file in sorted(folder.iterdir())[:12]:
            shutil.copyfile(file, tmp_path / "p" / folder.name / file.name)
    files = sorted((tmp_path / "p").rglob("*.*"))
    files[2].write_bytes(files[2].read_bytes()[:3000])
    Image.open(files[5]).convert("CMYK").save(files[5], "JPEG")
    Image.open(files[7]).convert("L").save(files[7], "JPEG")
    Image.open(files[20]).resize((100, 90)).save(files[20])
    line = ("--source", f"imagefolder:{tmp_path / 'p'}", "--resolution", 128)
    status, said, _ = prepare(*line, "--workers", 1, "--out", tmp_path / "one")
    assert status == 0
    assert "skipped 2 (1 truncated, 1 too_small)" in said
    assert prepare(*line, "--workers", 2, "--out", tmp_path / "two")[0] == 0
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    said = refusal(*line, "--workers", 1, "--on-bad-image", "fail", "--out", tmp_path / "three")
    assert said.startswith(f"{files[2].parent.name}/{files[2].name}: truncated (")


@needs_fashion
def test_fashion_mnist_against_torchvisions_own_reader(tmp_path: Path) -> None:
    import gzip

    from torchvision.datasets import FashionMNIST

    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for file in FASHION.glob("t10k*.gz"):
        (raw / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (raw / name).touch()  # torchvision wants to see them though it reads the test split
    theirs = FashionMNIST(tmp_path, train=False)
    line = ("--source", f"torchvision:FashionMNIST:{FASHION}", "--split", "test", "--resolution", 32, "--workers", 1)
    assert prepare(*line, "--out", tmp_path / "out")[0] == 0
    dataset = PreparedDataset.open(tmp_path / "out")
    np.testing.assert_array_equal(dataset.images[:, 2:30, 2:30, 0], theirs.data.numpy())
    assert dataset.labels.tolist() == theirs.targets.tolist()
    assert dataset.class_names == theirs.classes
