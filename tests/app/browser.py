"""Chromium and a page for it, shared by the tests that look at the page."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright import sync_api

from sngan_cond import Generator, GeneratorConfig
from sngan_cond.classes import imagenet_classes
from tests.app.browsing import PATIENCE_MS, note_stranger, wait_made
from tests.app.models import save_tiny
from tests.app.server import served
from tests.hub.client import HubClient
from tests.hub.stand_in import HubStandIn

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
NEEDS_BROWSER = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome is installed"),
]
Page = sync_api.Page
expect = sync_api.expect


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose classes differ from those of the page's own."""
    return save_tiny(tmp_path_factory.mktemp("models") / "toy", seed=7)


@pytest.fixture(scope="module")
def page_address(
    hub: HubStandIn, client: HubClient, toy: Path, tiny: Path, classless: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The page, beside a Hub that holds alice/toy."""
    folder = tmp_path_factory.mktemp("page")
    push = "from sngan_cond import Generator; result = Generator.from_pretrained(toy).push_to_hub('alice/toy')"
    client.run(push, toy=str(toy))
    visitor = hub.environment(folder / "visitor", token=None) | {"HF_HUB_OFFLINE": "0"}
    models = [tiny, _slow_model(folder / "slow"), _imagenet_model(folder / "thousand"), classless]
    words = [word for model in models for word in ("--model", str(model))]
    with served([*words, "--allow-repo", "alice/*"], folder, visitor) as address:
        yield address


def _slow_model(folder: Path) -> Path:
    """Save a model that takes some tenths of a second for an image, which leaves time to press Stop."""
    config = GeneratorConfig(resolution=128, num_classes=2, class_names=("this", "that"))
    Generator(config).save_pretrained(folder)
    return folder


def _imagenet_model(folder: Path) -> Path:
    """Save a narrow model of ImageNet's 1,000 classes."""
    names, ids = imagenet_classes()
    config = GeneratorConfig(
        resolution=32, num_classes=1000, latent_dim=8, channels=4, class_names=names, class_ids=ids
    )
    Generator(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--headless=new"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any, page_address: str) -> Iterator[Callable[..., Page]]:
    """A function that opens the page, at a link if need be, as another visitor; it may contact no other address."""
    contexts: list[Any] = []
    strangers: list[str] = []
    mistakes: list[str] = []

    def opened(link: str = "", **options: Any) -> Page:
        options = {"permissions": ["clipboard-read", "clipboard-write"], "accept_downloads": True} | options
        contexts.append(context := chromium.new_context(**options))
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("request", lambda request: note_stranger(request.url, page_address, strangers))
        page.on("pageerror", lambda error: mistakes.append(str(error)))
        page.goto(page_address + link)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert strangers == [], "the page asked other addresses"
    assert mistakes == [], "a script of the page failed"


@pytest.fixture
def page(visit: Callable[..., Page]) -> Page:
    page = visit()
    wait_made(page, "sample")
    return page
