"""What the page serves beside Gradio, over HTTP."""

import io
import re
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sngan_cond import Generator, mixture, sample
from tests.app.server import served

pytestmark = pytest.mark.slow  # starting the server takes seconds


def got(address: str, path: str) -> tuple[bytes, str]:
    with urllib.request.urlopen(address + path, timeout=60) as answer:
        return answer.read(), answer.headers["Content-Type"]


def refused(address: str, path: str) -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(address + path, timeout=60)
    with error.value as answer:
        return answer.code, answer.read().decode()


def image(content: bytes) -> torch.Tensor:
    with Image.open(io.BytesIO(content)) as opened:
        return torch.from_numpy(np.array(opened)).permute(2, 0, 1)


def test_an_image_of_a_link_is_the_librarys(address: str, tiny: Path) -> None:
    G = Generator.from_pretrained(tiny)
    content, kind = got(address, "sngan/image.png?class=2&latent=7:3~0.25~8:1&n=1")
    assert kind == "image/png"
    assert torch.equal(image(content), sample(G, 2, latent="7:3~0.25~8:1")[0])
    content, _ = got(address, "sngan/image.png?tab=mixture&class=0&class=2&weight=0.3&weight=0.7&latent=7:3&n=1")
    assert torch.equal(image(content), mixture(G, {0: 0.3, 2: 0.7}, latent="7:3")[0])
    content, _ = got(address, "sngan/image.png?class=2&class=0&seed=4&n=2")  # several as a grid
    assert image(content).shape == (3, 70, 70)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("class=zebra", "class 'zebra' is unknown"),
        ("class=0&n=65", "a whole number from 1 to 64"),
        ("class=0&model=nope", "is not offered here"),
        ("class=0&latent=x", "latent"),
    ],
)
def test_a_wrong_link_to_an_image_is_told(address: str, query: str, said: str) -> None:
    code, text = refused(address, f"sngan/image.png?{query}")
    assert code == 400
    assert said in text


@pytest.mark.parametrize("path", ["x/y", "..%2F..%2Fetc/passwd", f"sngan-{'0' * 32}/recipe.json", "sngan-0/grid"])
def test_what_is_no_result_is_not_found(address: str, path: str) -> None:
    code, text = refused(address, f"sngan/results/{path}")
    assert code == 404
    assert "/tmp" not in text


def test_a_link_tells_what_it_shows_to_those_who_run_no_script(address: str) -> None:
    page = got(address, "?class=0&class=2&seed=3&n=2")[0].decode()
    head = page[: page.index("</head>")]
    assert re.search("<title>tench, golf &lt;b&gt;ball&lt;/b&gt; · tiny</title>", head)
    told = dict(re.findall(r'<meta property="(og:\w+)" content="([^"]*)">', head))
    assert told["og:title"].startswith("tench, golf")
    assert "32 × 32 pixels" in told["og:description"]
    assert head.count("og:image") == 1
    content, _ = got("", told["og:image"].replace("&amp;", "&"))
    with Image.open(io.BytesIO(content)) as preview:
        assert preview.size == (1200, 630)
        assert len(set(preview.convert("RGB").resize((60, 31)).tobytes())) > 9
    assert "sngan/page.js" in head
    plain = got(address, "?class=%3Cscript%3E&model=%3Cscript%3E")[0].decode()
    assert "<script>" not in plain[plain.index("<title>") : plain.index("</title>")]


def test_behind_a_proxy_it_knows_its_path(tiny: Path, tmp_path: Path) -> None:
    with served(["--model", str(tiny), "--root-path", "/gan"], tmp_path) as address:
        page = got(address, "?class=0")[0].decode()
    assert '<script src="sngan/page.js">' in page
    assert re.search('og:image" content="http://[^/]*/gan/sngan/preview.png[?]class=0"', page)


def test_scripts_and_icon_are_the_pages_own(address: str) -> None:
    script, kind = got(address, "sngan/page.js")
    assert kind.startswith("text/javascript")
    assert script.count(b'"use strict"') == 7
    assert b"<svg" in got(address, "favicon.ico")[0]
