"""The service with real models: the library's images, whoever else asks at the same time."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from app.limits import InvalidRequest
from app.requests.base import Request
from app.requests.cross import CrossRequest
from app.requests.mixture import MixtureRequest
from app.requests.morph import MorphRequest
from app.requests.origin import Origin
from app.requests.sample import SampleRequest
from app.requests.single import single
from app.requests.vary import VaryRequest
from app.requests.walk import WalkRequest
from app.service import Service
from app.summary import summarise
from app.tabs.widgets import finder, picked
from sngan_cond import Generator, morph, sample
from tests.app.models import tiny_generator
from tests.refusals import refused


def test_samples_are_the_librarys(service: Service, tiny: Path) -> None:
    result = service.make(SampleRequest(classes=("tench", "n00000004"), count=3, seed=5, truncation=0.7))
    G = Generator.from_pretrained(tiny)
    assert torch.equal(result.images, sample(G, classes=[0, 0, 0, 3, 3, 3], seed=5, truncation=0.7))
    assert result.captions == ["tench"] * 3 + ["crane (n00000004)"] * 3
    assert result.columns == 3


def test_morphs_are_the_librarys(service: Service, tiny: Path) -> None:
    result = service.make(MorphRequest(from_class="2", to_class="tench", steps=5, seed=1))
    assert torch.equal(result.images, morph(Generator.from_pretrained(tiny), from_class=2, to_class=0, steps=5, seed=1))
    assert result.captions == ["golf <b>ball</b>", "25 %", "50 %", "75 %", "tench"]


def test_a_mixture_of_one_class_is_that_class(service: Service) -> None:
    mixed = service.make(MixtureRequest(classes=("1", "0"), weights=(0.5, 0.0), count=4, seed=3))
    plain = service.make(SampleRequest(classes=("1",), count=4, seed=3))
    assert torch.equal(mixed.images, plain.images)
    blended = service.make(MixtureRequest(classes=("1", "0"), weights=(0.5, 0.5), count=4, seed=3))
    assert not torch.equal(blended.images, plain.images)


def test_a_walk_ends_at_its_seeds(service: Service) -> None:
    walk = service.make(WalkRequest(class_="1", seed=3, to_seed=4, steps=5))
    for i, seed in ((0, 3), (-1, 4)):
        assert torch.equal(walk.images[i], service.make(SampleRequest(classes=("1",), count=1, seed=seed)).images[0])
    assert not torch.equal(walk.images[1], walk.images[2])


def test_a_walk_between_equal_seeds_stays(service: Service) -> None:
    walk = service.make(WalkRequest(class_="1", seed=3, to_seed=3, steps=3))
    assert torch.equal(walk.images, walk.images[:1].expand(3, -1, -1, -1))


def test_a_model_without_classes(service: Service, classless: Path) -> None:
    result = service.make(SampleRequest(model="classless", count=5, seed=2))
    assert torch.equal(result.images, sample(Generator.from_pretrained(classless), n=5, seed=2))
    assert service.make(WalkRequest(model="classless", steps=3)).images.shape == (3, 3, 32, 32)


@pytest.mark.parametrize(
    ("wanted", "columns"),
    [
        (SampleRequest(classes=("0", "1"), count=6), 6),
        (SampleRequest(classes=("0", "1"), count=1), 2),
        (SampleRequest(classes=("0",), count=20), 5),
        (MixtureRequest(classes=("0",), weights=(1.0,), count=8), 3),
        (MorphRequest(from_class="0", to_class="1", steps=5), 5),
        (SampleRequest(model="classless", count=10), 4),
        (CrossRequest(class_="0", to_class="1", steps=3), 3),
        (CrossRequest(model="classless", steps=8), 1),
        (VaryRequest(class_="0", count=8), 3),
    ],
)
def test_how_images_are_laid_out(service: Service, wanted: Request, columns: int) -> None:
    assert service.make(wanted).columns == columns


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (SampleRequest(classes=("crane",)), "means several: 1 / n00000002 / crane, 3 / n00000004 / crane"),
        (SampleRequest(), "choose at least one class"),
        (SampleRequest(classes=("2", "n00000003")), "chosen twice"),
        (SampleRequest(model="classless", classes=("1",)), "this model has no classes: leave the class out"),
        (MorphRequest(from_class="0", to_class="9"), "class '9' is unknown"),
        (MorphRequest(model="classless", from_class="1", to_class="2"), "has no classes"),
        (MixtureRequest(classes=("0", "0"), weights=(1.0, 1.0)), "in the mixture twice"),
        (MixtureRequest(classes=("0", "1"), weights=(1e-300, 1e-300)), "at least one above 0 is needed"),  # in float32
        (WalkRequest(), "choose a class to walk in"),
        (WalkRequest(model="classless", class_="1"), "this model has no classes: leave the class out"),
    ],
)
def test_what_a_model_cannot_make_is_refused(service: Service, wanted: Request, words: str) -> None:
    refused(lambda: service.make(wanted), words, by=InvalidRequest)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (SampleRequest(classes=("nobody",)), "classes"),
        (SampleRequest(classes=("2*0.5+0*0.5",)), "classes"),
        (SampleRequest(), "classes"),
        (MorphRequest(from_class="0", to_class="crane"), "to_class"),
        (MixtureRequest(classes=("0", "0"), weights=(1.0, 1.0)), "classes"),
        (WalkRequest(class_="0*1+"), "class_"),
        (WalkRequest(model="classless", class_="1"), "class_"),
        (CrossRequest(class_="0", to_class="9"), "to_class"),
        (CrossRequest(), "class_"),
        (VaryRequest(), "class_"),
    ],
)
def test_a_refusal_of_a_class_says_of_which_field(service: Service, wanted: Request, field: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        service.make(wanted)
    assert error.value.field == field


def test_so_many_classes_can_be_blended_as_a_mixture_may_have(tmp_path: Path) -> None:
    tiny_generator(named=False, num_classes=9).save_pretrained(tmp_path / "nine")
    service = Service([str(tmp_path / "nine")], device="cpu")
    six, seven = ("+".join(f"{label}*0.5" for label in range(count)) for count in (6, 7))
    assert len(service.make(CrossRequest(class_=six, to_class="5", steps=2)).images) == 4
    for wanted in (VaryRequest(class_=seven), CrossRequest(class_=six, to_class="6"), WalkRequest(class_=seven)):
        refused(lambda wanted=wanted: service.make(wanted), "7 classes in a blend: at most 6 are", by=InvalidRequest)


def test_classes_called_by_numbers_are_meant_by_them(tmp_path: Path) -> None:
    G = tiny_generator(named=False)
    Generator(replace(G.config, class_names=("0", "1", "10", "2"))).save_pretrained(tmp_path / "numbered")
    service = Service([str(tmp_path / "numbered")], device="cpu")
    result = service.make(SampleRequest(classes=("2",), count=1))
    assert torch.equal(result.images, sample(result.model.generator, [3]))
    assert result.captions == ["2"]
    drawn = service.make(SampleRequest(classes=("10",), count=1))
    assert "class=10" in drawn.recipe["link"]
    assert "--class 10" in drawn.recipe["command"]
    assert "[c for c in [2] for" in drawn.recipe["python"]
    blend = Origin("7:3", "1*0.5+2*0.5")  # of labels, whatever they are called
    alone = single(blend, drawn.model.config)
    assert alone.labels(drawn.model.generator) == [1, 2]
    assert alone.origins(drawn.model.generator, [1, 2]) == [blend]
    walk = service.make(WalkRequest(class_="10", steps=2))
    assert walk.recipe["images"][0] == {"latent": "0:0", "class": "10"}
    assert picked(drawn.model, ("10", "2"))["names"] == {"10": "10", "2": "2"}
    assert [(entry["text"], entry["index"]) for entry in asyncio.run(finder(service)({"query": "2"}))["classes"]] == [
        ("3", 3),
        ("10", 2),
    ]


def test_visitors_at_once_share_batches_and_get_their_own_images(service: Service) -> None:
    """Requests with labels and requests with class weights, which cannot share a batch."""
    requests: list[Request] = [SampleRequest(classes=(str(i % 4),), count=1 + i % 5, seed=i) for i in range(24)]
    requests[::5] = [MixtureRequest(classes=("0", "3"), weights=(1.0, 0.5), count=4, seed=i) for i in range(5)]
    alone = [service.make(request).images for request in requests]
    before = service.engine.batches
    with ThreadPoolExecutor(24) as pool:
        together = list(pool.map(lambda request: service.make(request).images, requests))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
    images = sum(map(len, alone))
    assert service.engine.batches - before < images, "every batch held one image"


def test_a_model_begins_with_as_many_images_as_take_three_seconds(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = service.open()
    for seconds, count in ((0.01, 8), (0.2, 3), (9.0, 1), (None, 8)):  # of an image; of 4 classes
        monkeypatch.setattr(service, "seconds_for", lambda _, n, s=seconds: None if s is None else n * s)
        assert service.first_request(model).count == count
    assert service.first_request(model).classes == ("0", "1", "2", "3")
    assert service.first_request(service.open("classless")).classes == ()


def test_surprises_are_classes(service: Service) -> None:
    model = service.open()
    assert service.random_classes(model, 9) == [0, 1, 2, 3]
    assert all(0 <= service.random_seed() < 2**31 for _ in range(10))
    refused(lambda: service.random_classes(service.open("classless"), 1), "no classes", by=InvalidRequest)


def test_classes_are_found(service: Service) -> None:
    model = service.open()
    assert [entry["index"] for entry in service.classes(model, "crane")] == [1, 3]
    assert service.classes(model, "n00000003")[0]["name"] == "golf <b>ball</b>"
    refused(lambda: service.classes(model, "", 0), "limit is 0", by=InvalidRequest)
    refused(lambda: service.classes(model, "x" * 1_000_000), "at most 200 characters", by=InvalidRequest)


def test_what_was_loaded_is_known(service: Service) -> None:
    summary = dict(summarise(service.open()))
    assert summary["pixels"] == "32 × 32"
    assert summary["step"] == "450,000"
    assert summary["score"] == "12.5 (quick, toy)"
    assert summary["weights"].startswith("sha256 ")


def test_pickers_open_no_model(tiny: Path) -> None:
    """Which may take long, and is not theirs to do; what they are sent comes from anywhere."""
    service = Service([str(tiny)], device="cpu")
    find = finder(service)
    assert "not open" in asyncio.run(find({"query": "crane"}))["problem"]
    service.open()
    assert [entry["index"] for entry in asyncio.run(find({"query": "crane"}))["classes"]] == [1, 3]
    for asked in (None, [1], {"query": {}}, {"limit": "x"}, {"model": 3}):
        assert asyncio.run(find(asked)).keys() <= {"classes", "problem"}
