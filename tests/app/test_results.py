"""What sheets show, and who gets it without it being made again."""

import asyncio
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from app.limits import CancelledError, InvalidRequest
from app.requests.base import Request, request_of
from app.requests.cross import CrossRequest
from app.requests.morph import MorphRequest
from app.requests.sample import SampleRequest
from app.requests.vary import VaryRequest
from app.requests.walk import WalkRequest
from app.results import Results, Value
from app.service import Service
from app.turns import Visitor
from app.ui import TABS

ME = Visitor("10.0.0.1", "me")


@pytest.fixture
def results(service: Service, tmp_path: Path) -> Results:
    return Results(service, tmp_path)


def shown(results: Results, request: Request) -> list[Value]:
    async def values() -> list[Value]:
        return [value | {"images": list(value["images"])} async for value in results.values(request, ME)]

    return asyncio.run(values())


def test_images_come_in_order_with_true_progress(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.engine.max_batch_size", lambda _: 5)
    values = shown(results, SampleRequest(classes=("0", "2"), count=6))
    making = [value for value in values if value["state"] == "making"]
    assert [len(value["images"]) for value in making] == [0, 5, 10, 12]
    assert [value["status"] for value in making][1] == "Making images: 5 of 12"
    last = values[-1]
    assert last["state"] == "done"
    assert last["status"].startswith("12 images in ")
    assert last["titles"] == ["tench", "golf <b>ball</b>"]
    assert (last["columns"], last["total"], last["px"]) == (6, 12, 32)
    folder = results.root / last["result"]
    assert all((folder / image["file"]).is_file() for image in last["images"])
    assert [image["class"] for image in last["images"]] == ["0"] * 6 + ["2"] * 6
    assert [image["latent"] for image in last["images"]][6:8] == ["0:6", "0:7"]


@pytest.mark.parametrize(
    ("request_", "title", "parents", "columns", "kinds"),
    [
        (SampleRequest(classes=("0", "2"), count=1), "tench, golf <b>ball</b>", 0, 4, {"grid", "zip"}),
        (MorphRequest(from_class="0", to_class="2", steps=9), "tench → golf <b>ball</b>", 0, 8, {"gif", "webp"}),
        (VaryRequest(class_="0*0.25+2*0.75", latent="7:3", count=3), "25% tench", 1, 4, {"grid"}),
        (CrossRequest(class_="0", to_class="2", steps=3), "tench × golf <b>ball</b>", 2, 3, {"grid"}),
        (WalkRequest(class_="0", latent="7:3", steps=3), "a walk in tench", 1, 4, {"gif"}),
    ],
)
def test_what_a_sheet_is_told(
    results: Results, request_: Request, title: str, parents: int, columns: int, kinds: set[str]
) -> None:
    last = shown(results, request_)[-1]
    assert title in last["title"]
    assert len(last["parents"]) == parents
    assert last["columns"] == columns
    assert kinds <= {file["kind"] for file in last["files"]}
    for link in [
        last["link"],
        *(image["link"] for image in last["images"]),
        *(each["link"] for each in last["parents"]),
    ]:
        assert request_of(parse_qs(link.removeprefix("?")), [tab.kind for tab in TABS]) is not None


def test_a_link_that_was_just_made_is_not_made_again(results: Results) -> None:
    request = SampleRequest(classes=("tench",), count=3, seed=8)
    first = shown(results, request)[-1]
    before = results.service.engine.batches
    assert shown(results, request) == [first]
    assert results.service.engine.batches == before
    os.utime(results.root / first["result"], (0, 0))  # it has expired
    again = shown(results, request)
    assert len(again) > 1
    assert again[-1]["result"] != first["result"]


def test_a_refusal_leaves_nothing_behind(results: Results) -> None:
    with pytest.raises(InvalidRequest, match="unknown") as error:
        shown(results, SampleRequest(classes=("zebra",)))
    assert error.value.field == "classes"
    assert not any(results.root.iterdir())


def test_stopping_ends_it(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.engine.max_batch_size", lambda _: 2)
    seen: list[int] = []

    async def stopped() -> None:
        values: Any = results.values(SampleRequest(classes=("0",), count=40, seed=99), ME)
        async for value in values:
            seen.append(len(value["images"]))
            if seen[-1] >= 4:
                results.service.cancel(ME)

    with pytest.raises(CancelledError):
        asyncio.run(stopped())
    assert 4 <= max(seen) < 40
