"""What is read of the real images; the extractor's features are cached under everything that decided them."""

import hashlib
import json
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics

from sngan_cond.cache import cache_folder
from sngan_cond.hub.weights import save_tensors
from sngan_cond.stored import check_regular, parse_json
from train.evaluation.features import extract
from train.evaluation.job import Evaluation
from train.evaluation.streams import REALS_SEED, Group, RealStream, real_indices
from train.files import atomic_write

KEY = "key"
MOMENTS = ("mu", "sigma")
FORMAT = 1  # part of the key: files of another format are left alone


def default_cache() -> Path:
    """Return the folder of cached features unless another is given."""
    return cache_folder() / "real-features"


def real_rows(job: Evaluation, group: Group, source: str) -> dict[str, Tensor]:
    """Return what a source reads of the real images that a group is compared with, by the names that it gives.

    Of the extractor these are the `features` and their moments, mean `mu` (D,) and covariance `sigma` (D, D); they come
    from the cache if it holds exactly these.

    Returns:
        On the main process all rows, on the generator's device but for the moments, which torch-fidelity takes from the
        CPU; on the others what it is does not matter.
    """
    if source != "extractor":
        return _read_reals(job, group, source)
    key = cache_key(job, group.label)
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    path = None if job.cache is None else job.cache / f"{digest[:32]}.safetensors"
    cached = {} if path is None or not group.processes.is_main else _load(path, key)
    if group.processes.from_main(bool(cached)):  # one answer for all: half of them in `extract` would wait for ever
        return {name: rows if name in MOMENTS else rows.to(group.stream.device) for name, rows in cached.items()}
    features = _read_reals(job, group, source)["features"]
    if not group.processes.is_main:
        return {}
    moments = fid_features_to_statistics(features.cpu())  # as torch-fidelity's Frechet distance takes them
    rows = {"features": features, **{name: torch.from_numpy(moments[name]) for name in MOMENTS}}
    if path is not None:
        _save(path, key, rows)
    return rows


def _read_reals(job: Evaluation, group: Group, source: str) -> dict[str, Tensor]:
    label = group.label
    indices = real_indices(job.dataset, job.reals(label), label)
    return extract(
        RealStream(job.dataset, indices, group.stream.device),
        [(job.sources[source], len(indices))],
        batch_size=job.batch_size,
        processes=group.processes,
        what="real images" if label is None else f"real images of {job.dataset.class_names[label]}",
        progress=job.progress and label is None,
    )


def cache_key(job: Evaluation, label: int | None) -> dict[str, Any]:
    """Return everything that decides reference features; different keys never share a file.

    The folder is not part of it, so a copy of a data set finds its features again.

    Args:
        label: of the class whose images these are; None for images of all classes.
    """
    info, extractor = job.dataset.info, job.extractor
    assert extractor is not None
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
        "count": job.reals(label),
        "label": label,
        "seed": REALS_SEED,
        "torch_fidelity": version("torch-fidelity"),
    }


def _load(path: Path, key: dict[str, Any]) -> dict[str, Tensor]:
    """Read cached rows; none if there is no file, it is damaged, or its key is another."""
    try:
        check_regular(path)
        with safe_open(path, framework="pt") as file:
            if parse_json((file.metadata() or {}).get(KEY, "null"), object, name=path) != key:
                return {}
            rows = {name: file.get_tensor(name) for name in ("features", *MOMENTS)}
    except (OSError, SafetensorError, ValueError):
        return {}
    side = rows["features"].shape[1:]
    shapes = {"features": (key["count"], *side), "mu": side, "sigma": 2 * side}
    fits = len(side) == 1 and all(
        rows[name].shape == shape and rows[name].is_floating_point() and bool(rows[name].isfinite().all())
        for name, shape in shapes.items()
    )
    return rows if fits else {}


def _save(path: Path, key: dict[str, Any], rows: dict[str, Tensor]) -> None:
    """Cache rows; where that fails, a warning is enough, for the next evaluation extracts them again."""
    try:
        with atomic_write(path) as beside:
            save_tensors(rows, beside, metadata={KEY: json.dumps(key)})
    except (OSError, SafetensorError) as error:
        warnings.warn(f"{path.parent}: features of the real images cannot be cached ({error})", stacklevel=2)
