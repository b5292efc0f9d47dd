"""The service with real models: the library's images, whoever else asks at the same time."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import gradio as gr
import pytest
import torch

from app.limits import InvalidRequest
from app.recipe import recipe_for
from app.requests.base import Request, request_of
from app.requests.mixture import MixtureRequest
from app.requests.morph import MorphRequest
from app.requests.sample import SampleRequest
from app.requests.walk import WalkRequest
from app.service import Service
from app.summary import summarise
from app.tabs.fields import class_update
from app.ui import TABS
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
    ("wanted", "columns", "shown"),
    [
        (SampleRequest(classes=("0", "1"), count=6), 6, 6),
        (SampleRequest(classes=("0", "1"), count=1), 2, 4),
        (SampleRequest(classes=("0",), count=20), 5, 5),
        (SampleRequest(classes=("0", "1"), count=20), 20, 8),
        (MixtureRequest(classes=("0",), weights=(1.0,), count=8), 3, 4),
        (MorphRequest(from_class="0", to_class="1", steps=5), 5, 5),
        (SampleRequest(model="classless", count=10), 4, 4),
    ],
)
def test_how_images_are_laid_out(service: Service, wanted: Request, columns: int, shown: int) -> None:
    result = service.make(wanted)
    assert (result.columns, result.columns_shown) == (columns, shown)


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


KINDS = [tab.kind for tab in TABS]
REQUESTS: list[Request] = [
    SampleRequest(classes=("2", "0"), count=3, seed=11, truncation=0.5),
    MorphRequest(from_class="0", to_class="3", steps=4, seed=12, truncation=0.7),
    MorphRequest(from_class="1", to_class="1", steps=3, seed=12),
    MixtureRequest(classes=("0", "2"), weights=(1.0, 0.25), count=3, seed=13, truncation=0.6),
    WalkRequest(class_="1", seed=14, to_seed=15, steps=4, truncation=0.5),
    WalkRequest(class_="1", seed=14, to_seed=14, steps=2),
    WalkRequest(model="classless", seed=14, to_seed=15, steps=4),
]


def test_every_tab_has_its_requests() -> None:
    assert {type(wanted) for wanted in REQUESTS} == set(KINDS)


@pytest.mark.parametrize("wanted", REQUESTS, ids=lambda wanted: wanted.tab)
def test_the_recipes_python_and_link_make_the_images_again(
    service: Service, wanted: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = service.make(wanted)
    monkeypatch.chdir(result.model.folder.parent)
    values: dict[str, Any] = {}
    exec(result.recipe["python"], values)
    assert torch.equal(values["images"], result.images)
    again = request_of(parse_qs(result.recipe["link"].removeprefix("?")), KINDS)
    assert again is not None
    assert torch.equal(service.make(again).images, result.images)


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
    update = class_update(drawn.model, gr.Dropdown(multiselect=True), ("10",))
    assert update["choices"] == [("0 · 0", "0"), ("1 · 1", "1"), ("10 · 2", "10"), ("2 · 3", "3")]


def test_a_link_to_a_repo_names_the_commit_that_made_the_images(service: Service) -> None:
    result = service.make(SampleRequest(classes=("2",), count=1, revision=""))
    commit = "0123456789" * 4
    model = replace(result.model, name="alice/toy", repo="alice/toy", commit_hash=commit)
    recipe = recipe_for(model, replace(result.request, model="alice/toy", revision="main"), [2])
    again = request_of(parse_qs(recipe["link"].removeprefix("?")), KINDS)
    assert again is not None
    assert (again.model, again.revision) == ("alice/toy", commit)
    for words in (recipe["command"], recipe["python"]):
        assert f"alice/toy@{commit}" in words


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


def test_warming_up_opens_the_first_model_and_tells_nothing(tiny: Path, classless: Path, tmp_path: Path) -> None:
    for folder in (tiny, classless):
        service = Service([str(folder)], device="cpu")
        service.warm_up()
        assert service.engine.batches == 2
        assert service.seconds_for(service.open()) > 0
        assert service.seconds_for(service.open(), 65) == 2 * service.seconds_for(service.open(), 64)
    Service([str(tmp_path)], device="cpu").warm_up()


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
