"""Streams, protocols and extractors: what decides an image, a count, a name."""

import gc
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from tests.refusals import refused
from tests.train.evaluation.parts import CLASSES, small_extractor, tiny_dataset, tiny_generator
from train.evaluation.extractors import load_extractor
from train.evaluation.features import LOG_SECONDS, progress_bar
from train.evaluation.metrics import METRICS
from train.evaluation.protocols import PROTOCOLS, protocol_named
from train.evaluation.streams import FakeStream, draw_labels, real_indices
from train.evaluation.weights import FALLBACK, INCEPTION, INCEPTION_FILE, find_weights, read_tensors


def test_an_image_depends_on_seed_part_index_and_label_alone() -> None:
    G = tiny_generator().eval()
    labels = draw_labels(600, CLASSES, "balanced", seed=1)

    def images(start: int, stop: int, **options) -> torch.Tensor:
        return FakeStream(G, labels, 600, **{"seed": 1, "part": "all", **options}).images(start, stop)

    whole = images(0, 600)
    for start, stop in ((0, 7), (250, 263), (511, 600), (599, 600)):  # across the blocks of 256 latents
        assert (images(start, stop).int() - whole[start:stop].int()).abs().max() <= 1  # a batch may round otherwise
    stream = FakeStream(G, labels, 600, seed=1, part="all")
    assert torch.equal(stream.latents(250, 263), stream.latents(0, 600)[250:263])
    for other in ({"seed": 2}, {"part": "class 1"}, {"truncation": 0.5}):
        assert (images(0, 50, **other) != whole[:50]).float().mean() > 0.3
    assert stream.latents(0, 600).abs().max() > 2
    cut = FakeStream(G, labels, 600, seed=1, part="all", truncation=0.5)
    assert cut.latents(0, 600).abs().max() <= 0.5


def test_a_generator_goes_with_its_stream() -> None:
    """A run scores a fresh copy each time; one that waits for the cyclic collector is memory the card may not have."""
    stream = FakeStream(tiny_generator().eval(), torch.tensor([0, 1, 2]), 3, seed=1, part="all")
    stream.images(0, 3)
    gone = weakref.ref(stream.generator)
    gc.disable()
    try:
        del stream
        assert gone() is None
    finally:
        gc.enable()


def test_balanced_labels_are_balanced_at_every_length_and_uniform_ones_are_not() -> None:
    balanced = draw_labels(103, 10, "balanced", seed=0)
    for length in (10, 55, 103):
        counts = torch.bincount(balanced[:length], minlength=10)
        assert counts.max() - counts.min() <= 1
    assert balanced[:10].tolist() != balanced[10:20].tolist()
    uniform = torch.bincount(draw_labels(10_000, 10, "uniform", seed=0), minlength=10)
    assert uniform.max() - uniform.min() > 10
    assert (uniform - 1000).abs().max() < 150  # 5 standard deviations of 30
    assert draw_labels(5, 0, "uniform", seed=0) is None
    assert not torch.equal(draw_labels(50, 10, "uniform", 0), draw_labels(50, 10, "uniform", 1))


def test_reals_are_chosen_once_for_all(tmp_path: Path) -> None:
    dataset = tiny_dataset(tmp_path / "data")
    chosen = real_indices(dataset, 100)
    assert np.array_equal(chosen, real_indices(dataset, 100))
    assert len(np.unique(chosen)) == 100
    assert chosen.max() > 200
    assert np.array_equal(real_indices(dataset, 1000), np.arange(240))
    assert set(dataset.labels[real_indices(dataset, 20, label=2)]) == {2}


def test_protocols_hold_their_papers_counts() -> None:
    def counts(name: str) -> tuple[int, int, int, int]:
        p = PROTOCOLS[name]
        return p.score_fakes // p.score_splits, p.score_splits, p.fakes, p.reals

    assert counts("paper") == (5_000, 10, 5_000, 10_000)  # Miyato et al. 2018, appendix B.1
    assert counts("bsn") == (5_000, 10, 10_000, 5_000)  # Lin et al. 2021, appendix H.2
    assert counts("report") == (600, 10, 6_000, 50_000)  # README.md and inception_score.py of its repository
    assert counts("50k") == (5_000, 10, 50_000, 50_000)
    assert PROTOCOLS["intra_class"].fakes_per_class == 5_000
    # preds[:, :1000] in gan/metric.py of fjxmlzn/BSN; the report's network has 1,000 classes
    assert {name: p.score_classes for name, p in PROTOCOLS.items() if p.score_classes} == {"bsn": 1000, "report": 1000}
    assert {p.labels for p in PROTOCOLS.values() if p.name in ("paper", "bsn")} == {"uniform"}
    assert {p.labels for p in PROTOCOLS.values() if p.name not in ("paper", "bsn")} == {"balanced"}
    assert all(set(p.metrics) <= set(METRICS) for p in PROTOCOLS.values())


def test_other_counts_make_another_protocol() -> None:
    paper = PROTOCOLS["paper"]
    assert paper.reduced() is paper
    reduced = paper.reduced(fakes=300, reals=200)
    assert (reduced.name, reduced.score_fakes, reduced.fakes, reduced.reals) == ("paper(reduced)", 300, 300, 200)
    assert paper.reduced(fakes=8_000).fakes == 5_000
    assert paper.reduced(fakes=8_000).name == "paper(reduced)"
    assert PROTOCOLS["50k"].reduced(reals=500).kernel_subset_size == 250
    refused(lambda: paper.reduced(fakes=3), "--fakes 3: an integer from 20 is allowed under protocol paper")
    refused(lambda: protocol_named("papre"), "--protocol 'papre': allowed are ", "did you mean 'paper'")


def test_only_the_published_network_gives_a_fid() -> None:
    own = small_extractor()
    published = replace(own, name=INCEPTION, is_published=True)
    assert METRICS["frechet"].names(published) == ("fid",)
    assert METRICS["class_score"].names(published) == ("inception_score",)
    stand_in = replace(own, name="efficientnet-lite0")
    assert METRICS["frechet"].names(stand_in) == ("frechet_efficientnet_lite0",)
    random_weights = replace(own, name=f"{INCEPTION}(unpublished weights)")
    for extractor in (stand_in, random_weights):
        for metric in ("class_score", "frechet", "kernel", "precision_recall", "intra_frechet", "diversity"):
            for name in METRICS[metric].names(extractor):
                assert name not in ("fid", "kid", "inception_score", "precision", "recall", "intra_fid")
                assert not name.startswith(("fid", "inception"))


def test_weights_are_checked_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load_refused(said: str, name: str = INCEPTION, **options: object) -> None:
        refused(lambda: load_extractor(name, **options), said)

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    load_refused(f"{INCEPTION_FILE} and nothing is downloaded")
    cached = tmp_path / "hub" / "checkpoints" / INCEPTION_FILE
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"not the weights")
    load_refused("the published one is 6726825d0af5")
    named = tmp_path / "mine-01234567.pth"
    named.write_bytes(b"x")
    load_refused("its name says 01234567; the file is not loaded", weights=named)
    load_refused("no such file", weights=tmp_path / "none.pth")
    mine = tmp_path / "mine.pth"
    torch.save({"a": torch.ones(2)}, mine)
    load_refused("the checksum asked for is abab", weights=mine, weights_sha256="ab" * 32)
    assert not find_weights(INCEPTION, mine).is_published
    load_refused(f"does not fit {INCEPTION} ('", weights=mine)
    load_refused("1 tensors, allowed are ", FALLBACK, weights=mine)
    stand_in = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    torch.save({name: torch.ones(2) for name in stand_in}, mine)
    load_refused(f"does not fit {FALLBACK} ('", FALLBACK, weights=mine)
    refused(lambda: load_extractor("inception"), "--extractor 'inception': allowed are ", "did you mean")


class Dangerous:
    def __reduce__(self) -> tuple:
        return print, ("code ran",)


def test_weights_never_run_code(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "mine.pth"
    torch.save({"a": Dangerous()}, path)
    for read in (read_tensors, lambda p: load_extractor(INCEPTION, weights=str(p))):
        refused(lambda read=read: read(path), "not a file of tensors")
    torch.save([1, 2], path)
    refused(lambda: read_tensors(path), "holds list; a state dict of tensors is allowed")
    assert "code ran" not in capsys.readouterr().out


def test_a_log_gets_a_bar_too_but_rarely(capsys: pytest.CaptureFixture) -> None:
    """A batch job of hours is not silent, nor are its logs filled."""
    with progress_bar("real images", 1000, shown=True) as bar:
        for _ in range(1000):
            bar.update()
        assert bar.mininterval == bar.maxinterval == LOG_SECONDS
    assert capsys.readouterr().err.count("real images") == 1
    with progress_bar("real images", 2, shown=False) as bar:
        bar.update()
    assert capsys.readouterr().err == ""
