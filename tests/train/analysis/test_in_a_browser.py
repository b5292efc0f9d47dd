"""The page in Chromium: without a network or scripts, on any screen, for those who want less motion or use keys."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from tests.app.browser import NEEDS_BROWSER, Page, chromium, expect  # noqa: F401 - chromium is a fixture
from train.analyze import main

axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")

pytestmark = NEEDS_BROWSER


@pytest.fixture(scope="module")
def report(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison of two runs, the second under a hostile name."""
    out = tmp_path_factory.mktemp("out")
    other = shutil.copytree(finished, out.parent / "b<i>&$x$")
    assert main(["--run-dir", str(finished), "--compare", str(other), "--out", str(out)]) == 0
    return out / "report.html"


@pytest.fixture
def look(chromium: Any, report: Path) -> Iterator[Callable[..., Page]]:  # noqa: F811
    """A function that opens the page on some screen."""
    contexts: list[Any] = []
    asked: list[str] = []

    def opened(**options: Any) -> Page:
        contexts.append(context := chromium.new_context(offline=True, **options))
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto(report.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith("data:") and url != report.as_uri()] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(look: Callable[..., Page], scheme: str) -> None:
    page = look(color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((closed) => { closed.open = true })")
    page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text())
    found = page.evaluate("axe.run(document).then((result) => result.violations)")
    assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_nothing_is_wider_than_the_screen(look: Callable[..., Page], width: int) -> None:
    page = look(viewport={"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach((closed) => { closed.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    broken = "[...document.images].filter((image) => !image.complete || !image.naturalWidth).length"
    assert page.evaluate(broken) == 0


def seen(page: Page) -> list[str]:
    """What is to be seen of the first run's grids, in words."""
    return [picture.get_attribute("alt") for picture in page.locator(".film").first.locator("img:visible").all()]


def test_grids_move_and_are_looked_at_singly(look: Callable[..., Page]) -> None:
    page = look(java_script_enabled=False)
    assert seen(page) == ["Animation of a: 3 sample grids from 0 to 96 real images seen"]
    page.locator(".film").first.get_by_text("48", exact=True).click()
    assert seen(page) == ["Sample grid of a after 48 real images, step 3"]
    page.keyboard.press("ArrowRight")
    assert seen(page) == ["Sample grid of a after 96 real images, step 6"]
    page.locator(".film").first.get_by_text("play").click()
    assert [alt.partition(" ")[0] for alt in seen(page)] == ["Animation"]
    assert page.locator(".film").nth(1).locator("img:visible").count() == 1


def test_less_motion_is_a_still_until_play(look: Callable[..., Page]) -> None:
    page = look(reduced_motion="reduce")
    assert seen(page) == ["Sample grid of a after 96 real images, step 6"]
    expect(page.get_by_text("asks for less motion")).to_be_visible()
    page.locator(".film").first.get_by_text("0", exact=True).click()
    assert seen(page) == ["Sample grid of a after 0 real images, step 0"]
    page.locator(".film").first.get_by_text("play").click()
    assert [alt.partition(" ")[0] for alt in seen(page)] == ["Animation"]


def test_on_paper_it_is_the_last_grid(look: Callable[..., Page]) -> None:
    page = look(color_scheme="dark")
    page.emulate_media(media="print")
    assert seen(page) == ["Sample grid of a after 96 real images, step 6"]
    page.emulate_media(media="screen")
    page.locator(".film").first.get_by_text("48", exact=True).click()
    page.emulate_media(media="print")
    assert seen(page) == ["Sample grid of a after 96 real images, step 6"]
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(29, 37, 48)"
