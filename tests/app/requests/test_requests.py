"""Checking what visitors send, and links."""

import math
from typing import Any
from urllib.parse import parse_qs

import pytest

from app.api import IMAGE_ENDPOINTS
from app.limits import LIMITS, InvalidRequest
from app.requests.base import Request, request_of
from app.requests.cross import CrossRequest
from app.requests.mixture import MixtureRequest
from app.requests.morph import MorphRequest
from app.requests.sample import SampleRequest
from app.requests.vary import VaryRequest
from app.requests.walk import WalkRequest
from tests.refusals import refused

KINDS = list(IMAGE_ENDPOINTS.values())
HUGE = "x" * 1_000_000


@pytest.mark.parametrize(
    "wanted",
    [
        SampleRequest(classes=("golf ball", "n01443537"), count=3, seed=2**63 - 1, truncation=0.7, model="alice/toy"),
        SampleRequest(classes=(), count=2),
        MorphRequest(from_class="1", to_class="crane (n00000004)", steps=5, seed=4, revision="v1"),
        MixtureRequest(classes=("0", "2"), weights=(0.25, 1.0), count=7, truncation=1.0),
        WalkRequest(class_="3", seed=8, to_seed=9, steps=48),
        WalkRequest(class_="3*0.5+1*0.5", latent="7:3:0.7~0.2~(11:2~0.5~1:1)", to_seed=9, truncation=0.5),
        SampleRequest(classes=("golf + ball", "2"), count=1, latent="7:3~1e-05~11:2", weights_sha256="38f21b97934e"),
        SampleRequest(count=1, latent="7:3"),
        MorphRequest(from_class="1", to_class="2", latent="7:3"),
        MixtureRequest(classes=("0", "2"), weights=(0.25, 1.0), count=1, latent="7:3"),
        VaryRequest(latent="7:3", class_="8*0.7+2*0.3", radius=0.35, count=3, seed=4),
        VaryRequest(),
        CrossRequest(latent="7:3", class_="8*0.7+2*0.3", to_latent="7:3~0.2~1:1", to_class="tench", steps=8),
        CrossRequest(),
    ],
)
def test_a_link_carries_the_whole_request(wanted: Request) -> None:
    assert request_of(parse_qs(wanted.link().removeprefix("?")), KINDS) == wanted


def test_a_link_stays_readable() -> None:
    wanted = CrossRequest(latent="7:3", class_="8*0.7+2*0.3", to_latent="1:0~0.5~(7:3~0.2~1:1)", to_class="crane (n4)")
    assert wanted.link() == (
        "?tab=cross&latent=7:3&class=8*0.7%2B2*0.3&to_latent=1:0~0.5~(7:3~0.2~1:1)&to_class=crane+(n4)&steps=4"
    )
    wanted = SampleRequest(classes=("3",), count=1, latent="7:3")
    assert wanted.link() == "?tab=sample&latent=7:3&class=3&n=1"


def test_a_latent_is_written_canonically() -> None:
    request = request_of({"class": ["1"], "latent": [" (007:3)~0.20~(11:2) "]}, KINDS)
    assert request == SampleRequest(classes=("1",), count=1, latent="7:3~0.2~11:2")
    assert CrossRequest.parse(latent="07:1", to_latent="(1:1)") == CrossRequest(latent="7:1", to_latent="1:1")


def test_where_a_latent_is_named_one_image_is_made() -> None:
    for kind, own in ((SampleRequest, {"classes": ["1"]}), (MixtureRequest, {"classes": ["1"], "weights": [1]})):
        assert kind.parse(**own).count == 8
        assert kind.parse(**own, latent="").count == 8
        assert kind.parse(**own, latent="7:3").count == 1
        assert kind.parse(**own, latent="7:3", count=1, seed="0", truncation="").count == 1
    assert SampleRequest.parse(classes=[str(i) for i in range(16)], latent="7:3").count == 1


def test_a_link_without_a_tab_samples() -> None:
    request = request_of({"class": ["207", "1"], "seed": ["3"], "truncation": ["0.7"], "utm_source": ["mail"]}, KINDS)
    assert request == SampleRequest(classes=("207", "1"), seed=3, truncation=0.7)


def test_a_link_to_a_walk_without_its_end_goes_to_the_next_seed() -> None:
    assert request_of({"tab": ["walk"], "class": ["3"]}, KINDS) == WalkRequest(class_="3", seed=0, to_seed=1)


def test_a_link_to_a_model_alone_asks_for_no_images() -> None:
    assert request_of({"model": ["alice/toy"], "__theme": ["dark"]}, KINDS) is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seed": -1}, "seed is -1: a whole number from 0 to 9223372036854775807"),
        ({"seed": 2**70}, "seed is 1180591620717411303424: a whole number from 0"),
        ({"seed": 10**80}, "seed is a number of more than 60 digits"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"seed": True}, "seed is True"),
        ({"seed": HUGE}, r"seed is 'x+'… \(1,000,000 characters\)"),
        ({"seed": "9" * 1_000_000}, "seed is '9+'…"),
        ({"count": 10_000}, f"number of images is 10000: a whole number from 1 to {LIMITS.images}"),
        ({"count": 0}, "number of images is 0"),
        ({"count": HUGE}, "number of images is 'x+'…"),
        ({"count": math.nan}, "number of images is nan"),
        ({"count": 33, "classes": ["1", "2"]}, "33 images of each of 2 classes are 66: at most 64"),
        ({"truncation": 0}, "truncation=0"),
        ({"truncation": math.nan}, "truncation is nan: a finite number"),
        ({"truncation": math.inf}, "truncation is inf"),
        ({"truncation": "nan"}, "truncation is 'nan': a finite number"),
        ({"truncation": HUGE}, "truncation is 'x+'…"),
        ({"truncation": 10**400}, "truncation is a number of more than 60 digits"),
        ({"truncation": [1]}, "truncation is a list"),
        ({"classes": HUGE}, "class is 'x+'…"),
        ({"classes": [HUGE]}, "class is 'x+'… .* at most 200 characters"),
        ({"classes": ["a\nb"]}, r"class is 'a\\nb': control characters"),
        ({"classes": [{"a": 1}]}, "class is a dict: text is expected"),
        ({"classes": {"a": 1}}, "class is a dict: a list"),
        ({"classes": ["1"] * 17}, "17 classes are given: at most 16"),
        ({"model": HUGE}, "model is 'x+'… .* at most 200 characters"),
        ({"revision": HUGE}, "revision is 'x+'…"),
        ({"latent": HUGE}, r"latent is 'x+'… .*: at most 1,000 characters"),
        ({"latent": "7"}, "latent='7': SEED:ROW"),
        ({"latent": ["7:3"]}, "latent is a list: text is expected"),
        ({"latent": "7:3:0.05~0.5~" * 3 + "1:1023:0.05"}, "sources draw 1,036 rows in all; at most 1,024 are allowed"),
        ({"weights_sha256": "38F21B97934E"}, "weights is '38F21B97934E': the first 12 digits"),
        ({"weights_sha256": "38f21b97934"}, "weights is '38f21b97934'"),
        ({"latent": "7:3", "count": 2}, "number of images is 2 beside the latent '7:3': 1 is allowed"),
        ({"latent": "7:3", "seed": 5}, "seed is 5 beside the latent '7:3': one of them is allowed"),
        ({"latent": "7:3", "truncation": 0.5}, "truncation is 0.5 beside the latent '7:3'"),
    ],
)
def test_bad_values_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as error:
        SampleRequest.parse(**{"classes": ["1"], **values})
    assert error.value.field in values


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "2 numbers are expected"),
        ("11", "2 numbers are expected"),
        ([0, 0], "all weights are 0"),
        ([1, -1], "weight is -1: a number from 0"),
        ([1, math.nan], "weight is nan"),
        ([1, "x"], "weight is 'x': a number is expected"),
    ],
)
def test_bad_weights_are_named(weights: Any, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        MixtureRequest.parse(classes=["1", "2"], weights=weights)


@pytest.mark.parametrize("seed", ["--5", "+-5", "+", "5-", "1e3", "²"])
def test_what_only_looks_like_digits_is_named(seed: str) -> None:
    refused(lambda: SampleRequest.parse(classes=["0"], seed=seed), "a whole number from 0", by=InvalidRequest)


def test_digits_and_whole_floats_are_numbers() -> None:
    request = SampleRequest.parse(classes=7, count=2.0, seed=" 12 ", truncation="0.5")
    assert request == SampleRequest(classes=("7",), count=2, seed=12, truncation=0.5)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (MorphRequest, {"steps": 49}, "steps is 49: a whole number from 2 to 48 is allowed"),
        (MorphRequest, {"steps": 1}, "steps is 1: a whole number from 2 to 48 is allowed"),
        (MorphRequest, {"from_class": None}, "choose the class to morph from"),
        (MorphRequest, {"to_class": HUGE}, "(1,000,000 characters): at most 200 characters are allowed"),
        (WalkRequest, {"to_seed": -1}, "second seed is -1"),
        (WalkRequest, {"to_seed": "x"}, "second seed is 'x'"),
        (WalkRequest, {"latent": "7:3", "seed": 5}, "seed is 5 beside the latent '7:3'"),
        (VaryRequest, {"latent": ""}, "latent is empty: the name of a latent, such as 7:3, is expected"),
        (VaryRequest, {"latent": "x"}, "latent='x': SEED:ROW"),
        (VaryRequest, {"radius": 1.5}, "radius is 1.5: a number from 0 to 1 is allowed"),
        (VaryRequest, {"radius": "-0.1"}, "radius is '-0.1': a number from 0 to 1 is allowed"),
        (VaryRequest, {"radius": math.nan}, "radius is nan"),
        (VaryRequest, {"count": 65}, "number of images is 65"),
        (CrossRequest, {"to_latent": " "}, "second latent is empty"),
        (CrossRequest, {"to_latent": "1:1024"}, "second latent='1:1024': row=1024"),
        (CrossRequest, {"steps": 9}, "steps is 9: a whole number from 2 to 8 is allowed"),
        (CrossRequest, {"to_class": ""}, "choose the classes of both images, or of neither"),
    ],
)
def test_other_kinds_have_limits_of_their_own(kind: type[Request], values: dict[str, Any], message: str) -> None:
    right = {"from_class": "1", "to_class": "2", "class_": "1"}  # a name that is no field's is ignored
    refused(lambda: kind.parse(**right | values), message, by=InvalidRequest)
    with pytest.raises(InvalidRequest) as error:
        kind.parse(**right | values)
    assert error.value.field == list(values)[-1]


def test_a_walk_from_a_name_may_be_truncated() -> None:
    wanted = WalkRequest.parse(class_="1", latent="7:3", truncation=0.5)
    assert wanted == WalkRequest(class_="1", latent="7:3", truncation=0.5)
    assert "truncation=0.5" in wanted.link()
