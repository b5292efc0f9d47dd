"""What does not go as wished, in Chromium: other models, cards that mean harm, wrong values, repos and links."""

from collections.abc import Callable

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from tests.app.browser import NEEDS_BROWSER, Page, expect
from tests.app.browsing import (
    make,
    open_model,
    press,
    seed_field,
    shown,
    wait_made,
)

pytestmark = NEEDS_BROWSER


def test_a_model_without_classes_shows_only_what_applies(page: Page) -> None:
    open_model(page, "classless", shows="no classes")
    wait_made(page, "sample", "classless")
    for name in ("Morph", "Mixture", "Classes"):
        expect(page.get_by_role("tab", name=name)).to_have_count(0)
    expect(page.get_by_role("tab", name="Vary")).to_have_count(1)
    expect(page.locator("#sample-classes")).to_be_hidden()
    expect(page.get_by_role("button", name="Surprise me")).to_be_hidden()
    page.get_by_role("tab", name="Walk").click()
    wait_made(page, "walk")


def test_the_card_is_shown_and_harmless(page: Page) -> None:
    page.get_by_role("tab", name="About").click()
    expect(page.get_by_role("heading", name="Toy")).to_be_visible()
    expect(page.locator("#about-card")).to_contain_text("<script>alert(1)</script>")
    assert page.locator("#about-card script, #about-card iframe, #about-card svg").count() == 0
    for image in page.locator("#about-card img").all():  # the model's own
        assert image.evaluate("(image) => image.naturalWidth") == 3


def test_what_is_wrong_stands_beside_the_fields_and_the_images_stay(page: Page) -> None:
    images = shown(page, "sample")
    problem = page.locator("#sample-problem [role=alert]")
    for seed in ("-1", str(2**70), "<img src=x onerror=alert(1)>"):
        seed_field(page).fill(seed)
        press(page, "Generate")
        expect(problem).to_contain_text(f"seed is {seed}" if seed[0] != "<" else "seed is '<img")
        expect(seed_field(page)).to_have_attribute("aria-invalid", "true")
        assert shown(page, "sample") == images
    assert problem.locator("img").count() == 0
    assert page.locator(".toast-body").count() == 0
    seed_field(page).fill("4")
    make(page, "sample", "Generate")
    expect(problem).to_be_hidden()


def test_a_wrong_repo_is_told_and_the_page_goes_on(page: Page) -> None:
    open_model(page, "alice/nothing", shows="no such repo")
    open_model(page, "bob/toy", shows="is not offered here")
    open_model(page, "tiny", shows="4 classes")
    seed_field(page).fill("77")
    make(page, "sample", "Generate")


def test_a_wrong_link_is_reported(visit: Callable[..., Page]) -> None:
    page = visit("?class=crane&seed=3")
    expect(page.locator("#facts")).to_contain_text("means several")
    wait_made(page, "sample")
    expect(page.locator("#facts")).to_contain_text("means several")
    seed_field(page).fill("78")
    make(page, "sample", "Generate")
    expect(page.locator("#facts")).to_contain_text("4 classes")
    page = visit("?model=thousand&tab=walk&class=zebra%20crossing&weights=000000000000")  # its model and tab stay
    expect(page.locator("#facts")).to_contain_text("is unknown")
    wait_made(page, "walk", "thousand")
    page = visit("?class=0&weights=000000000000&n=1&seed=123")
    wait_made(page, "sample")
    expect(page.locator("#facts")).to_contain_text("this link was made with the weights 000000000000 of tiny")


@pytest.mark.parametrize(
    ("query", "tab", "count"),
    [
        ("class=0&n=64&truncation=2.5", "sample", 64),
        ("tab=mixture&class=0&class=2&weight=70&weight=30&n=3", "mixture", 3),
        ("tab=walk", "walk", 16),
    ],
)
def test_what_the_service_makes_the_page_makes(visit: Callable[..., Page], query: str, tab: str, count: int) -> None:
    """Limits of sliders are no limits of links; and a tab alone is a link."""
    page = visit(f"?{query}")
    wait_made(page, tab)
    assert len(shown(page, tab)) == count
