"""A visitor's whole way through the page, in Chromium, with the model on a Hub."""

import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import torch
from PIL import Image

from app.ui import TABS
from sngan_cond import Generator, GeneratorConfig, sample
from tests.app.models import save_tiny
from tests.app.server import served
from tests.hub.client import HubClient
from tests.hub.stand_in import HubStandIn

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome is installed"),
]
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from tests.app.browsing import (  # noqa: E402  after the skip
    PATIENCE_MS,
    choose,
    clear,
    make,
    note_stranger,
    open_model,
    saved,
    seed_field,
    set_number,
    shown,
    wait_made,
)

Page = sync_api.Page
expect = sync_api.expect


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose classes differ from those of the page's own."""
    return save_tiny(tmp_path_factory.mktemp("models") / "toy", seed=7)


@pytest.fixture(scope="module")
def page_address(
    hub: HubStandIn, client: HubClient, toy: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The page, beside a Hub that holds alice/toy."""
    folder = tmp_path_factory.mktemp("page")
    push = "from sngan_cond import Generator; result = Generator.from_pretrained(toy).push_to_hub('alice/toy')"
    client.run(push, toy=str(toy))
    visitor = hub.environment(folder / "visitor", token=None) | {"HF_HUB_OFFLINE": "0"}
    words = ["--model", str(tiny), "--model", str(_slow_model(folder / "slow")), "--allow-repo", "alice/*"]
    with served(words, folder, visitor) as address:
        yield address


def _slow_model(folder: Path) -> Path:
    """Save a model that takes some tenths of a second for an image, which leaves time to press Stop."""
    config = GeneratorConfig(resolution=128, num_classes=2, class_names=("this", "that"))
    Generator(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--headless=new"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: "sync_api.Browser", page_address: str) -> Iterator[Page]:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"], accept_downloads=True)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    strangers: list[str] = []
    page.on("request", lambda request: note_stranger(request.url, page_address, strangers))
    page.goto(page_address)
    expect(page.locator("ul.summary")).to_be_visible(timeout=PATIENCE_MS)
    yield page
    context.close()
    assert strangers == [], "the page asked other addresses"


def test_from_a_repo_to_a_shared_link(page: Page, toy: Path, tmp_path: Path) -> None:
    open_model(page, "alice/toy", shows=re.compile(r"alice/toy.*commit [0-9a-f]{40}"))
    clear(page, "sample-classes")
    choose(page, "sample-classes", "ten", "n00000003")
    expect(page.locator("#sample-classes .token")).to_have_count(2)
    page.get_by_label("number input for Images of each class").fill("3")
    seed_field(page).fill("12")
    page.get_by_label("Truncate the latents").check()
    set_number(page, "Truncation threshold", "0.6")
    make(page, "sample", "Generate")
    images = shown(page, "sample")
    assert len(images) == 6

    with page.expect_download() as download:
        page.get_by_role("button", name="Download grid").click()
    download.value.save_as(tmp_path / "grid.png")
    expected = sample(Generator.from_pretrained(toy), classes=[0, 0, 0, 2, 2, 2], seed=12, truncation=0.6)
    with Image.open(tmp_path / "grid.png") as grid:
        array = torch.from_numpy(np.array(grid)).permute(2, 0, 1)
    cells = [array[:, 2 + 34 * r : 34 + 34 * r, 2 + 34 * c : 34 + 34 * c] for r in range(2) for c in range(3)]
    assert torch.equal(torch.stack(cells), expected)

    with page.expect_download() as download:
        page.get_by_role("button", name="Download all").click()
    download.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        recipe = json.loads(archive.read("recipe.json"))
    assert (recipe["seed"], recipe["truncation"]) == (12, 0.6)
    assert recipe["model"]["source"] == f"alice/toy@{recipe['model']['commit']}"

    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#sngan-toast")).to_contain_text("clipboard")
    link = page.evaluate("navigator.clipboard.readText()")
    assert page.url == link
    query = parse_qs(urlsplit(link).query)
    assert query["class"] == ["0", "2"]
    assert query["revision"] == [recipe["model"]["commit"]]

    second = page.context.new_page()
    second.goto(link)
    wait_made(second, "sample")
    assert shown(second, "sample") == images
    expect(second.locator("#sample-classes .token")).to_have_count(2)
    expect(second.locator("#sample-classes")).to_contain_text("tench")
    second.close()


def test_a_short_link_is_enough(page: Page, page_address: str, tiny: Path) -> None:
    page.goto(f"{page_address}?class=2&seed=3&truncation=0.7&n=1")
    wait_made(page, "sample")
    with Image.open(saved(page, "sample")) as file:
        image = torch.from_numpy(np.array(file)).permute(2, 0, 1)
    expected = sample(Generator.from_pretrained(tiny), classes=[2], seed=3, truncation=0.7)[0]
    assert torch.equal(image, expected)


def test_morph(page: Page) -> None:
    page.get_by_role("tab", name="Morph").click()
    choose(page, "morph-from", "golf")
    choose(page, "morph-to", "ten")
    set_number(page, "Steps", "5")
    make(page, "morph", "Morph")
    assert len(shown(page, "morph")) == 5
    expect(page.locator("#morph-animation img")).to_be_visible()
    expect(page.locator("#morph-gallery")).to_contain_text("golf <b>ball</b>")
    assert page.locator("#morph-gallery b").count() == 0


def test_mixture_follows_its_weights(page: Page) -> None:
    page.get_by_role("tab", name="Mixture").click()
    expect(page.get_by_label("number input for Weight of tench")).to_be_visible()
    make(page, "mixture", "Mix")
    even = shown(page, "mixture")
    set_number(page, "Weight of tench", "0.1")
    page.get_by_role("button", name="Mix", exact=True).click()
    page.wait_for_url(re.compile("weight=0.1"))
    uneven = shown(page, "mixture")
    assert len(even) == len(uneven) == 8
    assert set(even).isdisjoint(uneven)
    choose(page, "mixture-classes", "n00000002")
    expect(page.get_by_label("number input for Weight of crane (n00000002)")).to_be_visible()
    expect(page.get_by_label("number input for Weight of tench")).to_have_value("0.1")


def test_walk(page: Page) -> None:
    page.get_by_role("tab", name="Walk").click()
    page.locator("#walk-to-seed-dice").click()
    make(page, "walk", "Walk")
    assert len(set(shown(page, "walk"))) == 8


def test_the_card_is_shown_and_harmless(page: Page) -> None:
    page.get_by_role("tab", name="About").click()
    expect(page.get_by_role("heading", name="Toy")).to_be_visible()
    card = page.locator("#about-card")
    expect(card).to_contain_text("<script>alert(1)</script> (x)")
    expect(card.locator("pre")).to_have_text(re.compile("themeCSS.*graph LR", re.DOTALL))
    expect(card).to_contain_text("$x^2$ ${1 + 1} {{value}}")
    expect(card.get_by_text("tench, crane")).to_be_hidden()
    card.get_by_text("Classes").click()
    expect(card.get_by_text("tench, crane")).to_be_visible()
    assert card.locator("script, svg, style").count() == 0
    assert card.locator("img").evaluate_all("images => images.map(image => image.naturalWidth)") == [3]


def test_a_wrong_repo_is_told_and_the_page_goes_on(page: Page) -> None:
    open_model(page, "alice/nothing")
    message = page.locator(".toast-body")
    expect(message).to_contain_text("alice/nothing")
    expect(message).to_contain_text("no such repo")
    message.get_by_role("button", name="Close").or_(message.locator(".toast-close")).first.click()
    open_model(page, "bob/toy")
    expect(message).to_contain_text("is not offered here")
    message.locator(".toast-close").first.click()
    open_model(page, "tiny", shows="tiny")
    make(page, "sample", "Generate")


@pytest.mark.parametrize("seed", ["-1", str(2**70), "<img src=x onerror=alert(1)>"])
def test_a_wrong_seed_is_reported(page: Page, seed: str) -> None:
    seed_field(page).fill(seed)
    page.get_by_role("button", name="Generate").click()
    expect(page.locator(".toast-body")).to_contain_text(f"seed is {seed}" if seed[0] != "<" else "seed is '<img")
    assert page.locator(".toast-body img").count() == 0


@pytest.mark.parametrize(
    ("query", "tab", "count"),
    [
        ("class=0&n=64&truncation=2.5", "sample", 64),
        ("tab=mixture&class=0&class=2&weight=70&weight=30&n=3", "mixture", 3),
    ],
)
def test_what_the_service_makes_the_page_makes(page: Page, page_address: str, query: str, tab: str, count: int) -> None:
    """Limits of sliders are no limits of links."""
    page.goto(f"{page_address}?{query}")
    wait_made(page, tab)
    assert len(shown(page, tab)) == count


def test_a_wrong_link_is_reported(page: Page, page_address: str) -> None:
    page.goto(f"{page_address}?class=crane&seed=3")
    expect(page.locator(".toast-body")).to_contain_text("means several")
    expect(page.locator("ul.summary")).to_contain_text("tiny")


def test_stop(page: Page) -> None:
    open_model(page, "slow", shows="slow")
    set_number(page, "Images of each class", "32")
    page.get_by_role("button", name="Generate").click()
    page.get_by_text("Making images").first.wait_for()
    page.get_by_role("button", name="Stop").first.click()
    expect(page.locator("#sample-status")).to_contain_text("Stopped", timeout=PATIENCE_MS)
    expect(page.locator("#sample-gallery .grid-container img")).to_have_count(0)
    open_model(page, "tiny", shows="tiny")
    set_number(page, "Images of each class", "2")
    make(page, "sample", "Generate")


def test_surprise_me(page: Page) -> None:
    page.get_by_role("button", name="Surprise me").click()
    wait_made(page, "sample")
    assert len(shown(page, "sample")) == 32
    assert seed_field(page).input_value() != "0"


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_nothing_is_wider_than_the_screen(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    tabs = [*(tab.kind.tab.capitalize() for tab in TABS), "About"]
    for tab in tabs if width > 320 else tabs[:1]:  # the others go into a menu
        page.get_by_role("tab", name=tab).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, tab
