"""Whatever was made can be made again: by its link, its command, its Python, and each image from where it comes."""

import contextlib
import io
import shlex
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
from app.requests.origin import label_of, text_of
from app.requests.sample import SampleRequest
from app.requests.single import single
from app.requests.vary import VaryRequest
from app.requests.walk import WalkRequest
from app.service import Service
from app.ui import TABS
from sngan_cond.ancestry import canonical_name
from sngan_cond.cli import main as command
from tests.refusals import refused

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


@pytest.mark.slow
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
