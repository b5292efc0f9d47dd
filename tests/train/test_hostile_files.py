"""Files that would hang their reader or fill its memory: each is refused in one line, at once."""

import gzip
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sngan_cond import Generator
from sngan_cond.atomic import atomic_folder
from sngan_cond.convert import discriminator_from_chainer, generator_from_chainer
from sngan_cond.hub.weights import header, save_tensors
from sngan_cond.npy import map_npy, read_npy_header
from sngan_cond.outputs import Destination
from sngan_cond.stored import read_json
from tests.command_line import save_conditional
from tests.processes import ROOT
from tests.refusals import refused
from train.data.image import BadImageError, decode
from train.data.sources import open_source
from train.data.sources.base import SourceRequest
from train.data.sources.idx import read_idx
from train.errors import DataError, EvaluationError
from train.evaluation.classifier_file import (
    METADATA_KEY,
    Classifier,
    ClassifierMetadata,
    load_classifier,
    save_classifier,
)
from train.evaluation.compare import compare
from train.files import sha256
from train.presets.load import load_config
from train.publishing.cards import load_facts

pytestmark = pytest.mark.timeout(60)


def _in_model(name: str) -> Callable[[Path], object]:
    """Return what loads a model of which one file is the path."""

    def read(path: Path) -> object:
        save_conditional(path.parent / "model")
        (path.parent / "model" / name).unlink()
        (path.parent / "model" / name).symlink_to(path)
        return Generator.from_pretrained(path.parent / "model")

    return read


def _arrays(path: Path) -> object:
    (path.parent / "train_images.npy").symlink_to(path)
    return open_source(SourceRequest(f"arrays:{path.parent}", 8, unlabelled=True))


def _labels(path: Path) -> object:
    (path.parent / "images").mkdir()
    (path.parent / "images" / "a.png").touch()
    return open_source(SourceRequest(f"imagefolder:{path.parent / 'images'}", 8, labels=str(path)))


@pytest.mark.parametrize(
    ("call", "where"),
    [
        (r"json\.loads?\(", {"sngan_cond/stored.py"}),
        (r"yaml\.\w*load\w*\(", {"train/stored.py"}),
        (r"np\.(load|fromfile)\(|read_array", set()),
        (r"torch\.load\(", {"train/evaluation/weights.py"}),
    ],
)
def test_each_format_has_one_reader(call: str, where: set[str]) -> None:
    found = {
        str(path.relative_to(ROOT))
        for package in ("sngan_cond", "train", "app")
        for path in (ROOT / package).rglob("*.py")
        if re.search(call, path.read_text(encoding="utf-8"))
    }
    assert found == where


READERS: dict[str, Callable[[Path], object]] = {
    "JSON": read_json,
    "preset": lambda path: load_config(str(path.with_suffix(".yaml"))),
    "facts": load_facts,
    "config": _in_model("config.json"),
    "weights": _in_model("model.safetensors"),
    "snapshot": generator_from_chainer,
    "npy": map_npy,
    "arrays": _arrays,
    "labels": _labels,
    "archive": lambda path: open_source(SourceRequest(f"imagefolder:{path}", 8)),
    "idx": lambda path: read_idx(path, 3),
    "image": decode,
    "classifier": load_classifier,
    "metrics": lambda path: compare([path]),
    "sha256": sha256,
}


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, kind: str, read: Callable[[Path], object]) -> None:
    path = tmp_path / "it.yaml"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises((ValueError, OSError, BadImageError)) as error:
        read(path)
    assert "\n" not in str(error.value)


def _npy(shape: str, descr: str = "<f4", order: str = "False") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


HEADERS = {
    "a long header": (b"\x93NUMPY\x02\x00\xff\xff\xff\x7f", "a header of 2,147,483,647 bytes, at most 4,096 are read"),
    "objects": (_npy("(3,)", "|O"), "is of type object; numbers are allowed"),
    "texts": (_npy("(3,)", "<U9"), "is of type <U9"),
    "a long side": (_npy(f"({2**50},)"), "no memory holds it"),
    "long sides of nothing": (_npy(f"(0, {2**40}, {2**40})"), "no memory holds it"),
    "many axes": (_npy("(1, 1, 1, 1, 1, 1, 1, 1, 1, 1)"), "an array of 10 axes"),
    "a negative side": (_npy("(-3,)"), "its header is none of an array of numbers"),
    "an expression": (_npy("([[[[[[[[[[]]]]]]]]]])"), "its header is none of an array of numbers"),
    "no such type": (_npy("(3,)", "<f3"), "its header is none of an array of numbers"),
    "a zip": (b"PK\x03\x04" + bytes(40), "does not begin as a .npy does"),
    "cut": (_npy("(3,)")[:50], "its header is none of an array of numbers"),
    "too few values": (_npy("(10, 10**9)".replace("10**9", "1000000000")), "holds 0 bytes of values"),
    "too many values": (_npy("(1,)") + bytes(5), "holds 5 bytes of values, its header (1,) asks for 4"),
}


@pytest.mark.parametrize(("content", "words"), HEADERS.values(), ids=HEADERS)
def test_headers_of_arrays_are_checked_before_room_is_made(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    refused(lambda: map_npy(path), words)


@pytest.mark.parametrize("values", [np.arange(6.0).reshape(2, 3), np.zeros((0, 3), np.int8), np.array(True)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_are_read_as_numpy_reads_them(tmp_path: Path, values: np.ndarray, order: str) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.asarray(values, order=order))
    read = map_npy(path)
    np.testing.assert_array_equal(read, np.load(path))
    assert read.dtype == values.dtype
    with path.open("rb") as file:
        np.testing.assert_array_equal(read_npy_header(file).array(file.read()), values)
    python_2 = path.read_bytes().replace(b"(2, 3), }  ", b"(2L, 3L), }")  # whose integers were long
    path.write_bytes(python_2)
    np.testing.assert_array_equal(map_npy(path), values)


@pytest.mark.parametrize("read", [generator_from_chainer, discriminator_from_chainer])
def test_a_snapshot_that_would_fill_the_memory_is_refused_by_its_headers(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("l1/W.npy", _npy(f"(65536, {2**16})"))  # 16 GiB
    refused(lambda: read(path), "bomb.npz: ", "its arrays have 17,179,869,184 bytes; of a file of this size")


def test_a_compressed_array_of_bytes_is_not_read_past_what_its_header_states(tmp_path: Path) -> None:
    path = tmp_path / "a-ubyte.gz"
    sides = b"".join(side.to_bytes(4, "big") for side in (2, 3, 4))
    path.write_bytes(gzip.compress(b"\0\0\x08\x03" + sides + bytes(10**7)))
    refused(lambda: read_idx(path, 3), "holds more than 24 bytes", by=DataError)
    path.write_bytes(gzip.compress(b"\0\0\x08\x03" + b"\xff" * 12))
    refused(lambda: read_idx(path, 3), "its header asks for 79,228,162", by=DataError)


def _classifier(path: Path, **changed: object) -> Path:
    metadata = {
        **{"num_classes": 2, "resolution": 8, "width": 4, "class_names": ["a", "b"], "train_sha256": "0"},
        **{"train_count": 2, "test_sha256": "1", "test_count": 2, "test_accuracy": 0.5, "epochs": 1, "seed": 0},
    }
    network = Classifier(2, 8, 4)
    if values := changed.pop("weights", None):
        network.state_dict()[values[0]].fill_(values[1])
    save_classifier(network, ClassifierMetadata(**(metadata | changed)), path)
    return path


CLASSIFIERS = {
    "too many classes": ({"class_names": ["a"]}, "it has 2 classes and 1 names of them"),
    "of another size": ({"width": 8}, "weight features.0.weight has shape (4, 3, 4, 4), the config asks for (8, 3"),
    "not finite": ({"weights": ("top.bias", np.nan)}, "weight top.bias holds NaN or infinity"),
    "negative variance": ({"weights": ("features.1.running_var", -1)}, "weight features.1.running_var holds -1"),
}


@pytest.mark.parametrize(("changed", "words"), CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_a_classifier_that_is_none_is_refused(tmp_path: Path, changed: dict[str, object], words: str) -> None:
    path = _classifier(tmp_path / "c", **changed)
    refused(lambda: load_classifier(path), f"--classifier {path}: not a classifier (", words, by=EvaluationError)


def test_a_classifier_of_a_thousand_million_classes_is_refused_unbuilt(tmp_path: Path) -> None:
    path = _classifier(tmp_path / "c")
    assert load_classifier(path).metadata.class_names == ["a", "b"]
    path.write_bytes(path.read_bytes().replace(b'num_classes\\": 2', b'num_classes\\": 9'))
    refused(lambda: load_classifier(path), "it has 9 classes and 2 names", by=EvaluationError)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    text = content[8 : 8 + length].replace(b'num_classes\\": 9', b'num_classes\\": 1000000000')
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    refused(
        lambda: load_classifier(path), "num_classes is 1000000000; allowed is a number up to 100000", by=EvaluationError
    )
    save_tensors({"a": torch.zeros(1)}, path, metadata=header("x"))
    assert METADATA_KEY not in header("x")
    refused(lambda: load_classifier(path), "it does not say what it is", by=EvaluationError)


def test_what_killed_processes_left_of_a_file_is_removed_when_it_is_written_again(tmp_path: Path) -> None:
    dead, alive = 2**22 + 1, os.getppid()  # above the largest number that Linux gives a process
    for name in (f".a.npy.{dead}", f".a.npy.{alive}", f".b.npy.{dead}", ".a.npy.old", "a.npy.1"):
        (tmp_path / name).touch()
    (tmp_path / f".model.{dead}.x1" / "model").mkdir(parents=True)
    destination = Destination(path=tmp_path / "a.npy")
    destination.write([], count=0, side_px=1, columns=1, y=None, names=[])
    with atomic_folder(tmp_path / "model") as folder:
        (folder / "b").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["a.npy", f".a.npy.{alive}", f".b.npy.{dead}", ".a.npy.old", "a.npy.1", "model"]
    )
