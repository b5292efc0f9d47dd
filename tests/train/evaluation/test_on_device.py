"""What keeps an evaluation on its device: reading a value raises on PyTorch's meta device, whose tensors hold none."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch_fidelity.metric_prc import prc_features_to_metric

from tests.refusals import refused
from tests.train.evaluation.parts import CLASSES, SIDE, small_extractor, tiny_dataset, tiny_generator, write_dataset
from train.data.dataset import PreparedDataset
from train.errors import EvaluationError
from train.evaluation import classifier, features, neighbours
from train.evaluation.classifier_file import Classifier, LoadedClassifier
from train.evaluation.distributed import Processes
from train.evaluation.features import extract
from train.evaluation.finite import FiniteWatch
from train.evaluation.job import PLAIN_SOURCES
from train.evaluation.neighbours import precision_and_recall
from train.evaluation.streams import FakeStream, RealStream, Stream, draw_labels, real_indices

META = torch.device("meta")


def rows_on_meta(stream: Stream) -> dict[str, torch.Tensor]:
    """Everything that is read of 40 images, 16 at a time."""
    extractor = small_extractor()
    extractor.module.to(META)
    judge = LoadedClassifier(Classifier(CLASSES, SIDE, width=4).eval().to(META), None, "0" * 64)  # type: ignore[arg-type]
    sources = [(extractor, 40), (judge, 40), (PLAIN_SOURCES["pixels"], 24)]
    return extract(stream, sources, batch_size=16, processes=Processes())


@pytest.fixture(params=["fakes", "reals"])
def stream(request: pytest.FixtureRequest, tmp_path: Path) -> Stream:
    if request.param == "fakes":
        G = tiny_generator().eval().to(META)
        return FakeStream(G, draw_labels(40, CLASSES, "balanced", seed=1), 40, seed=1, part="all")
    dataset = tiny_dataset(tmp_path / "data")
    return RealStream(dataset, real_indices(dataset, 40), META)


def test_images_and_features_stay_on_their_device_and_no_batch_is_waited_for(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises((NotImplementedError, RuntimeError), match=r"[Mm]eta"):  # the look at whether all are finite
        rows_on_meta(stream)
    monkeypatch.setattr(FiniteWatch, "check", lambda _: None)
    found = {name: (rows.device, tuple(rows.shape)) for name, rows in rows_on_meta(stream).items()}
    assert found == {
        "features": (META, (40, 27)),
        "logits": (META, (40, 6)),
        "classes": (META, (40,)),
        "images": (META, (24, 3, SIDE, SIDE)),
    }


def test_a_classifier_trains_without_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, test = (
        PreparedDataset.open(write_dataset(tmp_path / name, count=300, seed=seed))
        for seed, name in enumerate(("a", "b"))
    )
    with pytest.raises((NotImplementedError, RuntimeError), match=r"[Mm]eta"):  # its accuracy is a number
        classifier.train_classifier(data, test, epochs=1, width=4, device=META)
    monkeypatch.setattr(classifier, "accuracy", lambda *_: 0.5)
    network, _ = classifier.train_classifier(data, test, epochs=2, width=4, device=META)
    assert {tensor.device for tensor in network.state_dict().values()} == {META}


def test_the_first_numbers_that_are_not_finite_are_told_once() -> None:
    watch = FiniteWatch()
    watch.check()
    for value, refusal in ((1.0, "a"), (torch.nan, "b"), (2.0, "c"), (-torch.inf, "d")):
        watch.note(torch.tensor([0.0, value]), refusal)
    refused(watch.check, "b", by=EvaluationError)
    watch.check()
    watch.note(torch.arange(3), "whole numbers")
    watch.check()


def test_a_generator_gone_wrong_is_noticed_before_the_last_image(monkeypatch: pytest.MonkeyPatch) -> None:
    G = tiny_generator().eval()
    with torch.no_grad():
        next(G.parameters()).fill_(torch.nan)
    made = []
    monkeypatch.setattr(FakeStream, "images", recorded(FakeStream.images, made))
    monkeypatch.setattr(features, "CHECKED_BATCHES", 3)
    stream = FakeStream(G, draw_labels(80, CLASSES, "balanced", seed=1), 80, seed=1, part="all")
    said = "the generator makes images that are not finite, among 0 to 7"
    refused(
        lambda: extract(stream, [(small_extractor(), 80)], batch_size=8, processes=Processes()),
        said,
        by=EvaluationError,
    )
    assert made == [(0, 8), (8, 16), (16, 24)]


def recorded(images: Callable, made: list) -> Callable:
    def wrapper(self: FakeStream, start: int, stop: int) -> torch.Tensor:
        made.append((start, stop))
        return images(self, start, stop)

    return wrapper


@pytest.mark.parametrize(("fakes", "reals", "width", "nearest"), [(150, 90, 40, 3), (60, 200, 7, 1), (7, 30, 2, 2)])
@pytest.mark.parametrize("distances", [neighbours.DISTANCES, 1000])
def test_precision_and_recall_are_torch_fidelitys(
    monkeypatch: pytest.MonkeyPatch, fakes: int, reals: int, width: int, nearest: int, distances: int
) -> None:
    """And those of float64, whatever part of the distances is in memory at a time."""
    monkeypatch.setattr(neighbours, "DISTANCES", distances)
    rng = torch.Generator().manual_seed(fakes)
    some = 0.8 * torch.randn(fakes, width, generator=rng) + 0.2
    others = torch.randn(reals, width, generator=rng)
    found = precision_and_recall(some, others, neighbours=nearest)
    theirs = prc_features_to_metric(
        some, others, prc_neighborhood=nearest, prc_batch_size=64, save_cpu_ram=True, verbose=False
    )
    assert found == pytest.approx((theirs["precision"], theirs["recall"]), abs=1e-6)  # their mean is of float32
    assert found == pytest.approx(by_hand(some, others, nearest), abs=1e-12)
    assert found[0] != found[1]


def by_hand(fakes: torch.Tensor, reals: torch.Tensor, nearest: int) -> tuple[float, float]:
    """Every distance at once, in float64, by differences."""

    def distances(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a.double()[:, None] - b.double()[None]).square().sum(dim=2).sqrt()

    def share_among(points: torch.Tensor, others: torch.Tensor) -> float:
        radii = distances(others, others).sort(dim=1).values[:, nearest]
        return float((distances(points, others) <= radii).any(dim=1).double().mean())

    return share_among(fakes, reals), share_among(reals, fakes)
