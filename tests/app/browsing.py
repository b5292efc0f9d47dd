"""What a visitor does on the page, in words of the tests."""

import hashlib
import re
from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, expect

PATIENCE_MS = 60_000
MADE = re.compile(r"images? in \d")


def note_stranger(url: str, own: str, strangers: list[str]) -> None:
    if urlsplit(url).scheme in ("http", "https") and urlsplit(url).netloc != urlsplit(own).netloc:
        strangers.append(url)


def open_model(page: Page, name: str, *, shows: str | re.Pattern[str] | None = None) -> None:
    page.get_by_label("Model", exact=True).fill(name)
    page.keyboard.press("Enter")
    if shows is not None:
        expect(page.locator("#facts")).to_contain_text(shows)


def set_number(page: Page, label: str, value: str) -> None:
    page.get_by_label(f"number input for {label}").locator("visible=true").fill(value)
    page.keyboard.press("Tab")


def seed_field(page: Page) -> Locator:
    return page.locator("#sample-seed").locator("input, textarea")


def choose(page: Page, box: str, *classes: str) -> None:
    """Choose classes as one does: type, press Enter."""
    field = page.locator(f"#{box} input[role=combobox]")
    for text in classes:
        field.fill(text)
        expect(page.locator(f"#{box} [role=option]").first).to_be_visible()
        field.press("Enter")
        expect(page.locator(f"#{box} [role=option]")).to_have_count(0, timeout=PATIENCE_MS)


def chosen(page: Page, box: str) -> list[str]:
    return page.locator(f"#{box} .chips li > span").all_inner_texts()


def clear(page: Page, box: str) -> None:
    field = page.locator(f"#{box} input[role=combobox]")
    for _ in chosen(page, box):
        field.press("Backspace")
    assert chosen(page, box) == []


def press(page: Page, button: str) -> None:
    page.get_by_role("button", name=button, exact=True).locator("visible=true").click()


def make(page: Page, tab: str, button: str) -> None:
    """Press a button that makes other images than those that are shown, and wait for them."""
    sheet = page.locator(f"#{tab}-sheet .sheet")
    before = sheet.get_attribute("data-result") or "none"
    press(page, button)
    expect(sheet).not_to_have_attribute("data-result", before, timeout=PATIENCE_MS)
    wait_made(page, tab)


def wait_made(page: Page, tab: str, link: str | re.Pattern[str] = "") -> None:
    """Wait until a result is there, and one of this link if one is given."""
    if link:
        page.wait_for_url(re.compile(link) if isinstance(link, str) else link)
    expect(page.locator(f"#{tab}-sheet .sheet")).to_have_attribute("data-busy", "", timeout=PATIENCE_MS)
    expect(page.locator(f"#{tab}-sheet [role=status]")).to_contain_text(MADE, timeout=PATIENCE_MS)


def tiles(page: Page, tab: str) -> Locator:
    return page.locator(f"#{tab}-sheet .tile img")


def shown(page: Page, tab: str) -> list[str]:
    """Return a hash of each image's bytes, as the browser got them."""
    expect(tiles(page, tab).first).to_be_visible()
    return [hashlib.sha256(fetched(page, image)).hexdigest() for image in tiles(page, tab).all()]


def fetched(page: Page, image: Locator) -> bytes:
    """Return the bytes behind an <img>."""
    address = image.get_attribute("src")
    assert address is not None
    return page.request.get(address).body()
