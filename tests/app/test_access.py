"""The page for those who use a keyboard, a screen reader, a phone, or the dark."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from tests.app.browser import NEEDS_BROWSER, Page, expect
from tests.app.browsing import tiles, wait_made

axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")

pytestmark = NEEDS_BROWSER
TABS = ("sample", "vary", "cross", "morph", "walk", "mixture", "classes", "about")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(visit: Callable[..., Page], scheme: str) -> None:
    page = visit(color_scheme=scheme)
    wait_made(page, "sample")
    page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text())
    for tab in TABS:
        page.locator(f"#tabs [role=tab][data-tab-id={tab}]").click()
        if tab not in ("classes", "about"):
            wait_made(page, tab)
        _clean(page, tab)
    page.locator("#tabs [role=tab][data-tab-id=sample]").click()
    tiles(page, "sample").first.click()
    _clean(page, "the viewer")


def _clean(page: Page, what: str) -> None:
    found = page.evaluate("axe.run(document).then((result) => result.violations)")
    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == [], what


def test_the_keyboard_reaches_everything(page: Page) -> None:
    page.evaluate("document.activeElement.blur()")
    stops = []
    for _ in range(8):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert "sample-run" in stops, stops
    first = page.locator("#sample-sheet .tile .open").first
    first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    viewer = page.locator("dialog.viewer")
    expect(viewer.locator("p")).to_contain_text("latent 0:1")
    page.keyboard.press("Escape")
    expect(viewer).to_have_count(0)
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("Open")
    page.locator("#tabs [role=tab][data-tab-id=sample]").focus()
    page.keyboard.press("ArrowRight")
    wait_made(page, "vary")
    field = page.locator("#vary-class input[role=combobox]")
    field.fill("ten")
    expect(page.locator("#vary-class [role=option]").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#vary-class [role=option]")).to_have_count(0)


def test_light_and_dark_are_remembered(page: Page) -> None:
    expect(page.locator("body.dark")).to_have_count(0)
    page.locator("#light-dark").click()
    page.reload()
    wait_made(page, "sample")
    expect(page.locator("body.dark")).to_have_count(1)


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_nothing_is_wider_than_the_screen(visit: Callable[..., Page], width: int) -> None:
    for tab in TABS:
        page = visit(f"?tab={tab}", viewport={"width": width, "height": 800})
        if tab not in ("classes", "about"):
            wait_made(page, tab)
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, tab
