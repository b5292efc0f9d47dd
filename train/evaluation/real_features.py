"""Reference features, those of the real images: cached on disk under everything that decided them."""

import hashlib
import json
import os
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics

from sngan_cond.stored import parse_json
from train.data.dataset import PreparedDataset
from train.evaluation.distributed import Processes
from train.evaluation.extractors import Extractor
from train.evaluation.features import extract
from train.evaluation.job import Evaluation
from train.evaluation.streams import REALS_SEED, RealStream, real_indices
from train.files import atomic_write

KEY = "key"
FORMAT = 1  # part of the key: files of another format are left alone


@dataclass(frozen=True)
class ReferenceFeatures:
    """Features of real images and their first two moments.

    Args:
        features: (N, D) float32 on the CPU.
        moments: mean `mu` (D,) and covariance `sigma` (D, D), as torch-fidelity's Frechet distance takes them.
    """

    features: Tensor
    moments: dict[str, np.ndarray]


def default_cache() -> Path:
    """Return the folder of cached features unless another is given."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sngan-cond" / "real-features"


def reference_features(job: Evaluation, label: int | None, processes: Processes) -> ReferenceFeatures | None:
    """Return the features of real images, from the cache if it holds exactly these.

    Args:
        label: of the class whose images these are; None for images of all classes.
        processes: that share the images out.
    Returns:
        The features on the main process, None on the others.
    """
    dataset, extractor = job.dataset, job.extractor
    assert extractor is not None
    stream = RealStream(dataset, real_indices(dataset, job.reals(label), label), extractor.device)
    key = cache_key(dataset, extractor, stream.count, label)
    path = None if job.cache is None else job.cache / _file_name(key)
    cached = None if path is None or not processes.is_main else _read(path, key)
    if processes.from_main(cached is not None):  # one answer for all: half of them in `extract` would wait for ever
        return cached
    rows = extract(
        stream,
        [(extractor, stream.count)],
        batch_size=job.batch_size,
        processes=processes,
        what="real images" if label is None else f"real images of {dataset.class_names[label]}",
        progress=job.progress and label is None,
    )
    if not processes.is_main:
        return None
    reference = ReferenceFeatures(rows["features"], fid_features_to_statistics(rows["features"]))
    if path is not None:
        _write(path, key, reference)
    return reference


def cache_key(dataset: PreparedDataset, extractor: Extractor, count: int, label: int | None) -> dict[str, Any]:
    """Return everything that decides reference features; different keys never share a file.

    The folder is not part of it, so a copy of a data set finds its features again.
    """
    info = dataset.info
    return {
        "format": FORMAT,
        "dataset_sha256": info.sha256,
        "resolution": info.resolution,
        "preparation": info.preparation,  # crop and filter
        "source": info.source,
        "split": info.split,
        "extractor": extractor.name,
        "extractor_sha256": extractor.sha256,
        "layer": extractor.layer,
        "resize": extractor.resize,
        "count": count,
        "label": label,
        "seed": REALS_SEED,
        "torch_fidelity": version("torch-fidelity"),
    }


def _file_name(key: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return f"{digest[:32]}.safetensors"


def _read(path: Path, key: dict[str, Any]) -> ReferenceFeatures | None:
    """Read cached features; None if there are none, the file is damaged, or its key is another."""
    try:
        with safe_open(path, framework="pt") as file:
            if parse_json((file.metadata() or {}).get(KEY, "null"), object, name=path) != key:
                return None
            features, mu, sigma = (file.get_tensor(name) for name in ("features", "mu", "sigma"))
    except (OSError, SafetensorError, ValueError):
        return None
    if len(features) != key["count"]:
        return None
    return ReferenceFeatures(features, {"mu": mu.numpy(), "sigma": sigma.numpy()})


def _write(path: Path, key: dict[str, Any], reference: ReferenceFeatures) -> None:
    """Cache features; where that fails, a warning is enough, for the next evaluation extracts them again."""
    moments = {name: torch.from_numpy(values) for name, values in reference.moments.items()}
    try:
        with atomic_write(path) as beside:
            save_file({"features": reference.features, **moments}, beside, metadata={KEY: json.dumps(key)})
    except (OSError, SafetensorError) as error:
        warnings.warn(f"{path.parent}: features of the real images cannot be cached ({error})", stacklevel=2)
