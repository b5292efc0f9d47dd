"""What a visitor does on the page, in words of the tests."""

import hashlib
import re
import tempfile
from pathlib import Path
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
        expect(page.locator("ul.summary")).to_contain_text(shows)


def set_number(page: Page, label: str, value: str) -> None:
    page.get_by_label(f"number input for {label}").fill(value)
    page.keyboard.press("Tab")


def seed_field(page: Page) -> Locator:
    return page.locator("#sample-seed input, #sample-seed textarea")


def choose(page: Page, box: str, *classes: str) -> None:
    """Choose classes as one does: type the beginning, press Enter."""
    field = page.locator(f"#{box} input")
    for text in classes:
        field.click()
        field.fill(text)
        expect(page.get_by_role("option").first).to_be_visible()
        page.keyboard.press("Enter")
    page.keyboard.press("Escape")


def clear(page: Page, box: str) -> None:
    page.locator(f"#{box}").get_by_title("Clear").or_(page.locator(f"#{box} .remove-all")).first.click()


def make(page: Page, tab: str, button: str) -> None:
    page.get_by_role("button", name=button, exact=True).click()
    wait_made(page, tab)


def wait_made(page: Page, tab: str) -> None:
    expect(page.locator(f"#{tab}-status")).to_contain_text(MADE, timeout=PATIENCE_MS)


def shown(page: Page, tab: str) -> list[str]:
    """Return a hash of each image's bytes, as the browser got them."""
    images = page.locator(f"#{tab}-gallery .grid-container img")
    expect(images.first).to_be_visible()
    addresses = [image.get_attribute("src") for image in images.all()]
    return [hashlib.sha256(page.request.get(address).body()).hexdigest() for address in addresses if address]


def saved(page: Page, tab: str) -> Path:
    address = page.locator(f"#{tab}-gallery .grid-container img").first.get_attribute("src")
    assert address is not None
    path = Path(tempfile.mkdtemp()) / "image.png"
    path.write_bytes(page.request.get(address).body())
    return path
