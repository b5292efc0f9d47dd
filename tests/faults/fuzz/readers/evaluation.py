"""What evaluation reads: classifiers, cached features, extractors' weights."""

import functools
import json
from collections.abc import Sequence
from pathlib import Path

from sngan_cond.hub.weights import save_tensors
from tests.faults.fuzz.engine import Reader
from tests.faults.fuzz.formats import (
    mutate_safetensors,
    of_members,
    unzip,
    zip_again,
)
from tests.faults.fuzz.mutate import mutate_bytes
from tests.faults.fuzz.readers.common import (
    TENSOR_TOKENS,
    put,
    written,
)
from train.errors import EvaluationError
from train.evaluation import classifier_file, real_features, weights
from train.evaluation.classifier_file import Classifier, ClassifierMetadata


@functools.cache
def _classifier_bytes() -> bytes:
    metadata = ClassifierMetadata(2, 8, 4, ["a", "b"], "0", 2, "1", 2, 0.5, 1, 0)
    path = Path("/dev/shm" if Path("/dev/shm").is_dir() else "/tmp") / "fuzz-classifier"
    classifier_file.save_classifier(Classifier(2, 8, 4), metadata, path)
    found = path.read_bytes()
    path.unlink()
    return found


_KEY = {"format": 1, "count": 5, "seed": 0}


def _features_seeds(folder: Path) -> Sequence[bytes]:
    import torch

    rows = {"features": torch.randn(5, 3), "mu": torch.randn(3).double(), "sigma": torch.eye(3).double()}
    save_tensors(rows, folder / "f", metadata={real_features.KEY: json.dumps(_KEY)})
    return [(folder / "f").read_bytes()]


def _features(folder: Path, data: bytes) -> object:
    rows = real_features._load(put(folder / "f", data), _KEY)
    if not rows:
        raise EvaluationError("not used")
    assert rows["features"].shape[0] == 5
    assert rows["sigma"].shape == (rows["mu"].shape[0],) * 2
    return rows


def _pickled_seeds(folder: Path) -> Sequence[bytes]:
    import torch

    torch.save({"a": torch.zeros(2, 3), "b": torch.ones(1, dtype=torch.int64)}, folder / "w.pth")
    torch.save({"a": torch.zeros(2)}, folder / "v.pth", _use_new_zipfile_serialization=False)
    return [(folder / "w.pth").read_bytes(), (folder / "v.pth").read_bytes()]


READERS = (
    Reader(
        "classifier",
        lambda _: [_classifier_bytes()],
        written("c", classifier_file.load_classifier),
        (EvaluationError,),
        (classifier_file.load_classifier, classifier_file.Classifier),
        mutate_safetensors,
        TENSOR_TOKENS,
        share=0.4,
    ),
    Reader(
        "cached-features",
        _features_seeds,
        _features,
        (EvaluationError,),
        (real_features._load,),
        mutate_safetensors,
        (*TENSOR_TOKENS, b"features", b"mu", b"sigma"),
        share=1,
    ),
    Reader(
        "torch-weights",
        _pickled_seeds,
        written("w.pth", weights.read_tensors),
        (EvaluationError,),
        (weights.read_tensors,),
        of_members(lambda data: unzip(data) if data[:2] == b"PK" else [("data", data)], zip_again, mutate_bytes),
        share=0.2,
    ),
)
