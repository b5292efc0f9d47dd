"""Features of the real images, kept on disk under everything that decided them."""

import contextlib
import hashlib
import json
import os
import warnings
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics

from train.data.dataset import PreparedDataset
from train.evaluation.distributed import Processes
from train.evaluation.extractors import Extractor
from train.evaluation.features import extract
from train.evaluation.streams import REALS_SEED, RealStream, real_indices
from train.run.provenance import without_folders

KEY = "key"
FORMAT = 1


@dataclass(frozen=True)
class RealSide:
    """Features of real images and their first two moments.

    Args:
        features: (N, D) float32 on the CPU.
        moments: `mu` (D,) and `sigma` (D, D), as torch-fidelity's Frechet distance takes them.
    """

    features: Tensor
    moments: dict[str, np.ndarray]


def default_cache() -> Path:
    """Return the folder where features of real images are kept unless told otherwise."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sngan-cond" / "real-features"


def real_side(
    dataset: PreparedDataset,
    extractor: Extractor,
    count: int,
    *,
    label: int | None = None,
    cache: Path | None,
    batch_size: int,
    processes: Processes,
    progress: bool = True,
) -> RealSide | None:
    """Return the real side of a comparison, from the cache if it holds exactly this one.

    Args:
        dataset: to choose images from.
        extractor: of the features.
        count: number of images; all there are if it is larger.
        label: take images of this class only; None takes all.
        cache: folder of kept features; None neither reads nor writes.
        batch_size: images at once on each process.
        processes: that take part.
        progress: show a bar.
    Returns:
        The real side on the main process, None on the others.
    """
    indices = real_indices(dataset, count, label)
    key = cache_key(dataset, extractor, len(indices), label)
    path = None if cache is None else cache / _file_name(key)
    kept = None if path is None or not processes.is_main else _read(path, key)
    if processes.from_main(kept is not None):
        return kept
    what = "real images" if label is None else f"real images of {dataset.class_names[label]}"
    stream = RealStream(dataset, indices, extractor.device)
    layers = extract(extractor, stream, batch_size=batch_size, processes=processes, what=what, progress=progress)
    if not processes.is_main:
        return None
    features = layers[extractor.layer]
    side = RealSide(features, fid_features_to_statistics(features))
    if path is not None:
        _write(path, key, side)
    return side


def cache_key(dataset: PreparedDataset, extractor: Extractor, count: int, label: int | None) -> dict[str, Any]:
    """Return everything that decides the features of a real side; unlike keys never share a file.

    Args:
        dataset: the images are chosen from.
        extractor: of the features.
        count: number of images.
        label: of one class, or None.
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


def _read(path: Path, key: dict[str, Any]) -> RealSide | None:
    """Read a kept real side; None if there is none, it is damaged, or its key is another."""
    try:
        with safe_open(path, framework="pt") as file:
            if json.loads((file.metadata() or {}).get(KEY, "null")) != key:
                return None
            features, mu, sigma = (file.get_tensor(name) for name in ("features", "mu", "sigma"))
    except (OSError, SafetensorError, json.JSONDecodeError):
        return None
    if len(features) != key["count"]:
        return None
    return RealSide(features, {"mu": mu.numpy(), "sigma": sigma.numpy()})


def _write(path: Path, key: dict[str, Any], side: RealSide) -> None:
    """Write so that readers see a whole file or none; where that fails, the next evaluation extracts again."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    moments = {name: torch.from_numpy(values) for name, values in side.moments.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({"features": side.features, **moments}, partial, metadata={KEY: json.dumps(key)})
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        warnings.warn(f"{path.parent}: features of the real images cannot be kept ({error})", stacklevel=2)
        with contextlib.suppress(OSError):
            partial.unlink()


def dataset_facts(dataset: PreparedDataset) -> dict[str, Any]:
    """Return what a result says about the data set it was measured on."""
    info = asdict(dataset.info)
    facts = {name: info[name] for name in ("source", "split", "resolution", "count", "preparation", "sha256")}
    return {"folder": dataset.folder.name, "num_classes": dataset.num_classes, **without_folders(facts)}
