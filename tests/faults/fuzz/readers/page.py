"""Readers of `app`: links, what clients of its endpoints send, and cards."""

import json
from dataclasses import fields
from pathlib import Path
from urllib.parse import parse_qs

from app import card, limits
from app.limits import InvalidRequest
from app.requests import base, origin
from app.requests.base import request_of
from app.requests.cross import CrossRequest
from app.requests.mixture import MixtureRequest
from app.requests.morph import MorphRequest
from app.requests.sample import SampleRequest
from app.requests.vary import VaryRequest
from app.requests.walk import WalkRequest
from tests.command_line import build
from tests.faults.fuzz.engine import Reader
from tests.faults.fuzz.formats import of_members, png_again, unpack_png
from tests.faults.fuzz.mutate import mutate_bytes, mutate_json, mutate_text
from tests.faults.fuzz.readers.common import fixed

KINDS = (SampleRequest, MorphRequest, MixtureRequest, WalkRequest, VaryRequest, CrossRequest)
_G = build(4)
_ASKED = (
    SampleRequest(classes=("golf ball", "n01440764"), count=3, seed=2**63 - 1, truncation=0.7, model="alice/toy"),
    MorphRequest(from_class="1", to_class="tench", steps=5, seed=4, revision="v1"),
    MixtureRequest(classes=("0", "2"), weights=(0.25, 1.0), count=7, truncation=1.0),
    WalkRequest(class_="3*0.5+1*0.5", latent="7:3:0.7~0.2~(11:2~0.5~1:1)", to_seed=9, truncation=0.5),
    VaryRequest(latent="7:3", class_="3*0.7+2*0.3", radius=0.35, count=3, seed=4),
    CrossRequest(latent="7:3", class_="0", to_latent="7:3~0.2~1:1", to_class="tench", steps=3),
)


def _all_of(request: base.Request) -> object:
    """Look a request's classes up, and say all that is said of it; its link must ask for the same."""
    found = request.labels(_G)
    again = request_of(parse_qs(request.link().removeprefix("?")), KINDS)
    assert again in (request, None)
    return request.with_labels(_G, found), request.command("m"), request.python("m", found), request.origins(_G, found)


def _link(folder: Path, data: bytes) -> object:
    request = request_of(parse_qs(data.decode("utf-8", "replace")), KINDS)
    return None if request is None else _all_of(request)


def _client(folder: Path, data: bytes) -> object:
    try:
        values = json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("the endpoint's own refusal") from error
    if not isinstance(values, dict):
        raise InvalidRequest("the endpoint's own refusal")
    kind = next((kind for kind in KINDS if kind.tab == values.get("tab")), SampleRequest)
    return _all_of(kind.parse(**{name: values[name] for name in _names(kind) if name in values}))


def _card(folder: Path, data: bytes) -> object:
    made = card.card_html(data.decode("utf-8", "replace"), samples="sngan/samples.png")
    for bad in ("<script", "javascript:", "onerror="):
        assert f"<{bad}" not in made.lower()
    return made


def _recipe(folder: Path, data: bytes) -> object:
    from app.files import ResultFolder  # here: it imports gradio, which takes seconds

    result = folder / f"sngan-{'0' * 32}"
    result.mkdir(exist_ok=True)
    (result / "recipe.json").write_bytes(data)
    return ResultFolder.open(folder, result.name).images


def _samples(folder: Path, data: bytes) -> object:
    (folder / "samples.png").write_bytes(data)
    return card.samples_png(folder / "samples.png")


def _names(kind: base.Request | type[base.Request]) -> list[str]:
    return [field.name for field in fields(kind)]


def _as_client(request: base.Request) -> str:
    return json.dumps({"tab": request.tab} | {name: getattr(request, name) for name in _names(request)})


_tokens = tuple(
    b"tab class weight latent to_latent n seed truncation steps radius model revision weights".split()
    + b"& = %2B %00 + ~ * 7:3".split()
)
_markdown = (
    "---\nlicense: mit\ntags:\n- gan\n---\n\n# Title\n\n![Samples](samples.png) <img src=x onerror=alert(1)>\n\n"
    "| a | b |\n|---|---|\n| 1.23456 | [x](http://a.b) |\n\n> quote\n> - list\n\n"
    "<details><summary>s</summary>\n\n```python\nx\n```\n</details>\n",
    "# x\n\n- a\n  - b\n\n1. c\n\n~~d~~ **e** `f` [g]: <h>\n",
)

READERS = (
    Reader(
        "page-link",
        fixed(*(request.link().removeprefix("?") for request in _ASKED)),
        _link,
        (ValueError,),
        (base, limits, origin),
        mutate_text,
        _tokens,
        share=1.5,
    ),
    Reader(
        "endpoint",
        fixed(*map(_as_client, _ASKED)),
        _client,
        (ValueError,),
        (base.Request, limits, origin),
        mutate_json,
        tuple(
            name.encode()
            for name in ("classes", "count", "weights", "seed", "latent", "class_", *(k.tab for k in KINDS))
        ),
        share=1.5,
    ),
    Reader(
        "card",
        fixed(*_markdown),
        _card,
        (),
        (card,),
        mutate_text,
        (b"<details>", b"</details>", b"](", b"![", b"```", b"|", b"> ", b"- "),
        share=0.3,
    ),
    Reader(
        "recipe.json",
        fixed('{"format": 1, "kind": "sample", "seed": 7, "images": [{"latent": "7:0", "class": "1"}]}'),
        _recipe,
        (InvalidRequest,),
        (),
        mutate_json,
        (b"kind", b"seed", b"../", b"[", b"*"),
        share=0.3,
    ),
    Reader(
        "samples.png",
        fixed(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes([0, 0, 0, 4, 0, 0, 0, 4, 8, 2, 0, 0, 0])),
        _samples,
        (),
        (card.samples_png,),
        of_members(unpack_png, png_again, mutate_bytes),
        share=0.5,
    ),
)
