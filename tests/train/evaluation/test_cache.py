"""Cached reference features are used when they are exactly those asked for, and never otherwise."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.train.evaluation.parts import job_of, small_extractor, tiny_dataset, tiny_generator
from train.data.dataset import PreparedDataset
from train.evaluation import real_features as module
from train.evaluation.protocols import PROTOCOLS, Protocol
from train.evaluation.real_features import cache_key, default_cache, real_rows
from train.evaluation.score import group_of


@pytest.fixture
def dataset(tmp_path: Path) -> PreparedDataset:
    return tiny_dataset(tmp_path / "data")


class Counting:
    """How often features were extracted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, real = 0, module.extract

        def extract(*args, **options):
            self.count += 1
            return real(*args, **options)

        monkeypatch.setattr(module, "extract", extract)


@pytest.fixture
def extractions(monkeypatch: pytest.MonkeyPatch) -> Counting:
    return Counting(monkeypatch)


def reference(
    dataset: PreparedDataset, cache: Path | None, *, count: int = 50, label: int | None = None, **fields: object
) -> dict[str, torch.Tensor]:
    job = job_of(dataset, counted(count), cache=cache, **fields)
    return real_rows(job, group_of(job, tiny_generator(), job.metrics, label), "extractor")


def counted(reals: int) -> Protocol:
    return replace(PROTOCOLS["quick"], reals=reals, reals_per_class=reals)


def test_cached_features_are_used_and_equal(dataset, tmp_path, extractions) -> None:
    cache = tmp_path / "cache"
    first, second = reference(dataset, cache), reference(dataset, cache, batch_size=7)
    assert extractions.count == 1
    assert all(torch.equal(first[name], second[name]) for name in ("features", "mu", "sigma"))
    assert first["features"].shape == (50, 27)
    assert [path.suffix for path in cache.iterdir()] == [".safetensors"]  # nothing half-written
    reference(dataset, None)
    assert extractions.count == 2


def test_whatever_differs_is_computed_anew(dataset, tmp_path, extractions) -> None:
    cache = tmp_path / "cache"
    reference(dataset, cache)

    def with_info(**changes: object) -> PreparedDataset:
        return PreparedDataset(dataset.folder, dataset.images, dataset.labels, replace(dataset.info, **changes))

    asked = [
        lambda: reference(with_info(sha256={**dataset.info.sha256, "images.npy": "f" * 64}), cache),
        lambda: reference(with_info(preparation={"crop": "center"}), cache),
        lambda: reference(with_info(split="test"), cache),
        lambda: reference(with_info(resolution=17), cache),
        lambda: reference(dataset, cache, extractor=small_extractor(sha256="1" * 64)),
        lambda: reference(dataset, cache, count=51),
        lambda: reference(dataset, cache, label=1),
        lambda: reference(dataset, cache, label=0),
    ]
    for expected, ask in enumerate(asked, start=2):
        ask()
        assert extractions.count == expected
    assert len(list(cache.iterdir())) == 1 + len(asked)


def test_a_file_with_another_key_or_damage_is_not_used(dataset, tmp_path, extractions) -> None:
    cache = tmp_path / "cache"
    truth = reference(dataset, cache)
    (path,) = cache.iterdir()
    tensors = {name: tensor + 1 for name, tensor in load_file(path).items()}
    key = cache_key(job_of(dataset, counted(50)), None)
    other = [{**key, "dataset_sha256": {"images.npy": "e" * 64}}, {**key, "split": "test"}, None]
    for wrong in (*map(json.dumps, other), "[" * 10**5, "{"):
        save_file(tensors, path, metadata={"key": wrong})
        assert torch.equal(reference(dataset, cache)["features"], truth["features"])
    assert extractions.count == 6
    path.write_bytes(path.read_bytes()[:-100])
    assert torch.equal(reference(dataset, cache)["features"], truth["features"])
    assert extractions.count == 7
    with safe_open(path, framework="pt") as file:  # and the damaged file was replaced
        assert json.loads(file.metadata()["key"]) == key
    save_file(tensors, path, metadata={"key": json.dumps(key)})
    trusted = reference(dataset, cache)["features"]  # the file is whole and of this key
    assert torch.equal(trusted, truth["features"] + 1)


def test_the_folder_follows_the_users_cache(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "sngan-cond" / "real-features"
