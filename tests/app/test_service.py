"""The service with real models: the library's images, whoever else asks at the same time."""

import asyncio
import contextlib
import io
import shlex
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest
import torch

from app.api import IMAGE_ENDPOINTS
from app.limits import InvalidRequest
from app.recipe import recipe_for, weights_differ
from app.requests.base import Request, request_of
from app.requests.cross import CrossRequest
from app.requests.mixture import MixtureRequest
from app.requests.morph import MorphRequest
from app.requests.origin import Origin, label_of, text_of
from app.requests.sample import SampleRequest
from app.requests.single import single
from app.requests.vary import VaryRequest
from app.requests.walk import WalkRequest
from app.service import Service
from app.summary import summarise
from app.tabs.widgets import finder, picked
from app.ui import TABS
from sngan_cond import Generator, morph, sample
from sngan_cond.ancestry import canonical_name
from sngan_cond.cli import main as command
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


KINDS = list(IMAGE_ENDPOINTS.values())
REQUESTS: list[Request] = [
    SampleRequest(classes=("2", "0"), count=3, seed=11, truncation=0.5),
    MorphRequest(from_class="0", to_class="3", steps=4, seed=12, truncation=0.7),
    MorphRequest(from_class="1", to_class="1", steps=3, seed=12),
    MixtureRequest(classes=("0", "2"), weights=(1.0, 0.25), count=3, seed=13, truncation=0.6),
    WalkRequest(class_="1", seed=14, to_seed=15, steps=4, truncation=0.5),
    WalkRequest(class_="1", seed=14, to_seed=14, steps=2),
    WalkRequest(model="classless", seed=14, to_seed=15, steps=4),
    SampleRequest(classes=("2", "0"), count=1, latent="7:3~0.2~11:2"),
    SampleRequest(model="classless", count=1, latent="7:3:0.7"),
    SampleRequest(model="classless", count=3, seed=5),
    MorphRequest(from_class="0", to_class="3", steps=4, latent="7:3"),
    MixtureRequest(classes=("0", "2", "1"), weights=(3.0, 1.0, 0.0), count=1, latent="7:3~0.5~(1:1~0.5~2:2)"),
    MixtureRequest(classes=("0", "2"), weights=(0.7, 0.0), count=2, seed=3),
    WalkRequest(class_="1", latent="7:3", to_seed=15, steps=4, truncation=0.5),
    WalkRequest(class_="n00000003", latent="7:3~0.2~11:2", to_seed=7, steps=5),
    WalkRequest(class_="3*7+0*3", seed=14, to_seed=15, steps=4),
    VaryRequest(class_="tench", latent="7:3", radius=0.35, count=5, seed=11),
    VaryRequest(class_="2*0.57142857+0*0.42857143", latent="7:3~0.2~11:2", count=2),
    VaryRequest(class_="1", radius=1.0, count=2),
    VaryRequest(model="classless", latent="7:3", radius=0.0, count=2, seed=11),
    CrossRequest(class_="2", to_class="0", latent="7:3", to_latent="11:2:0.5", steps=3),
    CrossRequest(class_="2*1+1*2", to_class="tench", latent="7:3", to_latent="1:0~0.5~2:0", steps=4),
    CrossRequest(class_="3", to_class="3", steps=3),
    CrossRequest(model="classless", latent="7:3", to_latent="11:2", steps=3),
]


def test_every_kind_has_its_requests_and_every_tab_its_kind() -> None:
    assert {type(wanted) for wanted in REQUESTS} == set(KINDS)
    assert {tab.kind for tab in TABS} <= set(KINDS)


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


@pytest.mark.parametrize("wanted", REQUESTS, ids=lambda wanted: wanted.tab)
def test_the_recipes_command_makes_the_images_again(
    service: Service, wanted: Request, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    result = service.make(wanted)
    monkeypatch.chdir(tmp_path)
    (tmp_path / result.model.name).symlink_to(result.model.folder)
    program, *words = shlex.split(result.recipe["command"])
    assert program == "sngan-cond"
    with contextlib.redirect_stdout(io.StringIO()):
        assert command([*words, "--device", "cpu", "--out", "images.npy"]) == 0
    assert np.array_equal(np.load("images.npy"), result.images.permute(0, 2, 3, 1))


@pytest.mark.parametrize("wanted", REQUESTS, ids=lambda wanted: wanted.tab)
def test_every_image_is_made_again_from_where_it_comes(service: Service, wanted: Request) -> None:
    """Exactly where it is of one class; where classes are blended, the weights are rounded once more."""
    result = service.make(wanted)
    G, name = result.model.generator, result.model.name
    origins = wanted.origins(G, wanted.labels(G))
    assert result.recipe["images"] == [{"latent": origin.latent, "class": origin.class_} for origin in origins]
    for origin, image in zip(origins, result.images, strict=True):
        assert canonical_name(origin.latent) == origin.latent
        assert not origin.class_ or text_of(G.config, label_of(G.config, origin.class_)) == origin.class_
        alone = single(origin, G.config, model=name)
        assert request_of(parse_qs(alone.link().removeprefix("?")), KINDS) == alone
        (again,) = service.make(alone).images
        assert (again.int() - image.int()).abs().max() <= ("*" in origin.class_)
        assert alone.origins(G, alone.labels(G)) == [origin]


@pytest.mark.parametrize("i", range(len(REQUESTS)))
def test_every_image_becomes_a_parent(service: Service, i: int) -> None:
    """Its variations of radius 0 are the image, and so is the first corner of what it is crossed with."""
    result = service.make(REQUESTS[i])
    name, parent, image = result.model.name, result.recipe["images"][-1], result.images[-1]
    same = VaryRequest(model=name, latent=parent["latent"], class_=parent["class"], radius=0.0, count=1)
    other = "1" if parent["class"] else ""
    crossed = CrossRequest(model=name, latent=parent["latent"], class_=parent["class"], to_class=other, steps=2)
    for child in (same, crossed):
        made = service.make(child)
        assert (made.images[0].int() - image.int()).abs().max() <= ("*" in parent["class"])
        assert made.recipe["images"][0] == parent
        assert made.columns == (2 if other and child is crossed else 1)


def test_lineages_are_told_in_names(service: Service) -> None:
    near = service.make(VaryRequest(class_="tench", latent="7:3", count=2, seed=11)).recipe
    assert near["images"] == [{"latent": f"7:3~0.2~11:{i}", "class": "0"} for i in (0, 1)]
    assert "latent=7:3&class=0&radius=0.2&n=2" in near["link"]
    assert (near["latent"], near["radius"], near["seed"]) == ("7:3", 0.2, 11)
    morph = service.make(MorphRequest(from_class="2", to_class="tench", steps=8, latent="7:3~0.2~11:1")).recipe
    assert morph["images"][3] == {"latent": "7:3~0.2~11:1", "class": "2*0.57142854+0*0.42857146"}
    assert (morph["images"][0]["class"], morph["images"][7]["class"]) == ("2", "0")
    assert "seed" not in morph
    assert "seed" not in morph["link"]
    assert "latent=7:3~0.2~11:1" in morph["link"]
    walk = service.make(WalkRequest(class_="2*7+0*3", seed=3, to_seed=4, steps=3, truncation=0.5)).recipe
    assert [entry["latent"] for entry in walk["images"]] == ["3:0:0.5", "3:0:0.5~0.5~4:0:0.5", "4:0:0.5"]
    assert {entry["class"] for entry in walk["images"]} == {"2*7+0*3"}
    assert [entry["index"] for entry in walk["classes"]] == [2, 0]
    assert "class=2*7%2B0*3" in walk["link"]


def test_a_lineage_that_gets_too_long_is_refused_before_the_images_are_made(service: Service) -> None:
    long = "7:3" + "~0.5~1:1" * 124
    before = service.engine.batches
    refused(lambda: service.make(VaryRequest(class_="0", latent=long)), "at most 1,000 characters", by=InvalidRequest)
    assert service.engine.batches == before
    assert len(service.make(SampleRequest(classes=("0",), count=1, latent=long)).images) == 1


def test_a_link_says_the_weights_of_a_folder(service: Service) -> None:
    result = service.make(SampleRequest(classes=("2",), count=1))
    made = result.model.weights_sha256[:12]
    assert f"weights={made}" in result.recipe["link"]
    assert "weights" not in result.recipe["command"] + result.recipe["python"]
    again = request_of(parse_qs(result.recipe["link"].removeprefix("?")), KINDS)
    assert weights_differ(again, result.model) is None
    assert weights_differ(result.request, result.model) is None  # which does not say
    said = weights_differ(replace(again, weights_sha256="38f21b97934e"), result.model)
    assert said == (
        f"this link was made with the weights 38f21b97934e of tiny, which are {made} now: its images will differ"
    )
    hub = replace(result.model, name="alice/toy", commit_hash="0123456789" * 4)
    assert "weights=" not in recipe_for(hub, result.request, [2])["link"]
    assert weights_differ(again, hub) is None


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
