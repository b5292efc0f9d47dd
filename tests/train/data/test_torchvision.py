"""torchvision's data sets, read from small files in their own formats, and Fashion-MNIST's idx files."""

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.train.data.images import made, refused, smooth_image

# --- MNIST's idx files


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


@pytest.fixture
def digits() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (20, 28, 28), np.uint8), (np.arange(20) % 10).astype(np.uint8)


@pytest.mark.parametrize(("below", "suffix"), [("", ".gz"), ("", ""), ("raw", ".gz"), ("FashionMNIST/raw", "")])
def test_idx_files_are_found_where_people_keep_them(
    tmp_path: Path, digits: tuple[np.ndarray, np.ndarray], below: str, suffix: str
) -> None:
    folder = tmp_path / "root" / below
    folder.mkdir(parents=True)
    for kind, array in zip(("images-idx3", "labels-idx1"), digits, strict=True):
        content = gzip.compress(idx(array)) if suffix else idx(array)
        (folder / f"t10k-{kind}-ubyte{suffix}").write_bytes(content)
    dataset = made(tmp_path, f"torchvision:FashionMNIST:{tmp_path / 'root'}", "--split", "test", resolution=32)
    np.testing.assert_array_equal(dataset.images[:, 2:30, 2:30, 1], digits[0])
    assert (dataset.images[..., 0] == dataset.images[..., 2]).all()
    assert int(dataset.images[:, :2].max()) == 0
    assert dataset.labels.tolist() == digits[1].tolist()
    assert dataset.class_names[9] == "Ankle boot"
    assert dataset.info.preparation["fit"] == "pad"


def test_mnist_can_be_resized_instead(tmp_path: Path, digits: tuple[np.ndarray, np.ndarray]) -> None:
    for kind, array in zip(("images-idx3", "labels-idx1"), digits, strict=True):
        (tmp_path / f"train-{kind}-ubyte").write_bytes(idx(array))
    dataset = made(tmp_path, f"torchvision:MNIST:{tmp_path}", "--fit", "resize", resolution=32)
    expected = Image.fromarray(digits[0][3]).convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(dataset.images[3], np.asarray(expected))


def test_damaged_idx_files_are_named(tmp_path: Path, digits: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = tmp_path / "train-images-idx3-ubyte", tmp_path / "train-labels-idx1-ubyte"
    source = f"torchvision:MNIST:{tmp_path}"
    assert "MNIST has no idx files in" in refused(source)
    assert "pass --download" in refused(source)
    images.write_bytes(idx(digits[0])[:-5])
    labels.write_bytes(idx(digits[1]))
    assert "holds 15675 bytes, its header (20, 28, 28) asks for 15680" in refused(source)
    images.write_bytes(idx(digits[1]))
    assert "starts with 00000801, allowed is 00000803 (idx)" in refused(source)
    images.write_bytes(idx(digits[0][:7]))
    assert "holds 20 labels, train-images-idx3-ubyte holds 7 images" in refused(source)
    images.unlink()
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(digits[0]))[:-40])
    assert "cannot be read (" in refused(source)


# --- torchvision's other sets, in their own file formats; only their published checksums are set aside


@pytest.fixture
def any_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import celeba, cifar, stl10, svhn, utils

    def exists(path: str, _md5: str | None = None) -> bool:
        return Path(path).is_file()

    for module in (celeba, cifar, stl10, svhn, utils):
        monkeypatch.setattr(module, "check_integrity", exists)


def channel_first(count: int, side: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (count, 3, side, side), np.uint8)


@pytest.mark.usefixtures("any_checksum")
def test_cifar10_from_its_pickled_batches(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    pixels = channel_first(10, 32)
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        (folder / name).write_bytes(pickle.dumps({"data": pixels.reshape(10, -1), "labels": list(range(10))}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [f"name {i}" for i in range(10)]}))
    dataset = made(tmp_path, f"torchvision:CIFAR10:{tmp_path}", resolution=32)
    assert len(dataset) == 50
    np.testing.assert_array_equal(dataset.images[10:20], pixels.transpose(0, 2, 3, 1))
    assert dataset.labels[10:20].tolist() == list(range(10))
    assert dataset.class_names[3] == "name 3"


@pytest.mark.usefixtures("any_checksum")
def test_stl10_and_its_unlabelled_split(tmp_path: Path) -> None:
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    pixels = channel_first(10, 96)
    stored = pixels.transpose(0, 1, 3, 2)  # the files are column-major
    for name in ("train_X", "test_X", "unlabeled_X"):
        (folder / f"{name}.bin").write_bytes(np.ascontiguousarray(stored).tobytes())
    for name in ("train_y", "test_y"):
        (folder / f"{name}.bin").write_bytes(bytes(range(1, 11)))
    (folder / "class_names.txt").write_text("\n".join(f"name {i}" for i in range(10)))
    (folder / "fold_indices.txt").touch()
    labelled = made(tmp_path, f"torchvision:STL10:{tmp_path}", resolution=48)
    assert labelled.labels.tolist() == list(range(10))
    reduced = Image.fromarray(pixels[4].transpose(1, 2, 0)).resize((48, 48), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(labelled.images[4], np.asarray(reduced))
    free = made(tmp_path / "free", f"torchvision:STL10:{tmp_path}", "--split", "unlabeled", resolution=48)
    assert (len(free), free.num_classes) == (10, 0)
    both = made(tmp_path / "both", f"torchvision:STL10:{tmp_path}", "--split", "train+unlabeled", resolution=48)
    assert (len(both), both.num_classes) == (20, 0)


@pytest.mark.usefixtures("any_checksum")
def test_svhn_calls_its_label_ten_zero(tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io", reason="SVHN's files are MATLAB's")
    pixels = channel_first(10, 32)
    labels = np.arange(1, 11, dtype=np.uint8)[:, None]
    scipy_io.savemat(tmp_path / "extra_32x32.mat", {"X": pixels.transpose(2, 3, 1, 0), "y": labels})
    dataset = made(tmp_path, f"torchvision:SVHN:{tmp_path}", "--split", "extra", resolution=32)
    assert dataset.labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    assert dataset.class_names == list("0123456789")
    np.testing.assert_array_equal(dataset.images, pixels.transpose(0, 2, 3, 1))


@pytest.mark.usefixtures("any_checksum")
def test_celeba_takes_128_px_from_the_middle(tmp_path: Path) -> None:
    folder = tmp_path / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    names = [f"{i:06}.jpg" for i in range(1, 5)]
    for i, name in enumerate(names):
        smooth_image(i, 178, 218).save(folder / "img_align_celeba" / name, quality=100, subsampling=0)
    (folder / "list_eval_partition.txt").write_text(
        "".join(f"{n} {s}\n" for n, s in zip(names, (0, 1, 0, 2), strict=True))
    )
    (folder / "identity_CelebA.txt").write_text("".join(f"{n} 7\n" for n in names))
    for table in ("list_bbox_celeba", "list_landmarks_align_celeba", "list_attr_celeba"):
        (folder / f"{table}.txt").write_text("4\nwhat ever\n" + "".join(f"{n} 1 1\n" for n in names))
    dataset = made(tmp_path, f"torchvision:CelebA:{tmp_path}", resolution=64)
    assert (len(dataset), dataset.num_classes) == (2, 0)
    with Image.open(folder / "img_align_celeba" / names[2]) as stored:
        face = stored.crop((25, 45, 153, 173)).resize((64, 64), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(dataset.images[1], np.asarray(face))
    assert dataset.info.preparation["crop"] == "center:128"


def test_torchvision_mistakes_are_named(tmp_path: Path) -> None:
    assert refused("torchvision:CIFAR").startswith(
        "--source torchvision: 'CIFAR' is unknown; allowed are CIFAR10, CIFAR100"
    )
    assert "--split is 'val'; allowed for SVHN are train, test, extra" in refused("torchvision:SVHN", "--split", "val")
    for name in ("CIFAR10", "CIFAR100", "STL10", "SVHN", "CelebA"):
        said = refused(f"torchvision:{name}:{tmp_path}")
        assert said.endswith(f"{name} is missing or damaged in {tmp_path}; to fetch it pass --download")
    assert refused("torchvision:cifar10").endswith("CelebA; did you mean CIFAR10?")
