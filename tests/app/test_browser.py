"""A visitor's whole way through the page, in Chromium, with the model on a Hub."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
import torch
from PIL import Image

from sngan_cond import Generator, sample
from tests.app.browser import NEEDS_BROWSER, Page, expect
from tests.app.browsing import (
    PATIENCE_MS,
    choose,
    chosen,
    clear,
    fetched,
    make,
    open_model,
    press,
    seed_field,
    set_number,
    shown,
    tiles,
    wait_made,
)

pytestmark = NEEDS_BROWSER


def pixels(png: bytes) -> torch.Tensor:
    with Image.open(io.BytesIO(png)) as image:
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def test_it_opens_with_images(visit: Callable[..., Page], tiny: Path) -> None:
    """Without a click, in the first screen of a desk, a tablet and a phone; the model was warmed up, so at once."""
    for size in ((1440, 900), (1024, 768), (390, 844)):
        page = visit(viewport={"width": size[0], "height": size[1]})
        first = tiles(page, "sample").first
        expect(first).to_be_visible()
        box = first.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < size[1], size
        run = page.get_by_role("button", name="Generate").bounding_box()
        assert run is not None
        assert run["y"] + run["height"] <= size[1], size
    assert torch.equal(pixels(fetched(page, first)), sample(Generator.from_pretrained(tiny), [0])[0])
    page.mouse.wheel(0, 200)
    expect(page.get_by_role("button", name="Generate")).to_be_in_viewport()
    first.click()  # on the phone, whose screen all that one can do with an image fits into
    for button in page.locator("dialog.viewer .actions > *").all():
        box = button.bounding_box()
        assert box is not None
        assert 0 <= box["x"] < box["x"] + box["width"] <= 390
        assert box["y"] + box["height"] <= 844


def test_from_a_repo_to_a_shared_link(page: Page, visit: Callable[..., Page], toy: Path, tmp_path: Path) -> None:
    open_model(page, "alice/toy", shows="4 classes")
    page.wait_for_url(re.compile("model=alice"))
    clear(page, "sample-classes")
    choose(page, "sample-classes", "ten", "n00000003")
    assert chosen(page, "sample-classes") == ["tench", "golf <b>ball</b>"]
    set_number(page, "Images of each class", "3")
    seed_field(page).fill("12")
    page.get_by_label("Truncation").locator("visible=true").fill("0.6")
    make(page, "sample", "Generate")
    page.wait_for_url(re.compile("seed=12"))
    images = shown(page, "sample")
    assert len(images) == 6
    assert page.locator("#sample-sheet h2").all_inner_texts() == ["tench", "golf <b>ball</b>"]

    with page.expect_download() as download:
        page.locator("#sample-sheet").get_by_role("link", name="Grid").click()
    download.value.save_as(tmp_path / "grid.png")
    expected = sample(Generator.from_pretrained(toy), classes=[0, 0, 0, 2, 2, 2], seed=12, truncation=0.6)
    array = pixels((tmp_path / "grid.png").read_bytes())
    cells = [array[:, 2 + 34 * r : 34 + 34 * r, 2 + 34 * c : 34 + 34 * c] for r in range(2) for c in range(3)]
    assert torch.equal(torch.stack(cells), expected)

    with page.expect_download() as download:
        page.locator("#sample-sheet").get_by_role("link", name="zip").click()
    download.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        recipe = json.loads(archive.read("recipe.json"))
    assert (recipe["seed"], recipe["truncation"]) == (12, 0.6)
    assert recipe["model"]["source"] == f"alice/toy@{recipe['model']['commit']}"

    page.locator("#sample-sheet").get_by_role("button", name="Copy link").click()
    expect(page.locator("#sngan-toast")).to_contain_text("clipboard")
    link = page.evaluate("navigator.clipboard.readText()")
    assert page.url == link
    query = parse_qs(urlsplit(link).query)
    assert query["class"] == ["0", "2"]
    assert query["revision"] == [recipe["model"]["commit"]]

    for size in ((1280, 800), (390, 844)):
        second = visit("?" + urlsplit(link).query, viewport={"width": size[0], "height": size[1]})
        wait_made(second, "sample")
        assert shown(second, "sample") == images
        assert chosen(second, "sample-classes") == ["tench", "golf <b>ball</b>"]


def test_a_short_link_is_enough(visit: Callable[..., Page], tiny: Path) -> None:
    page = visit("?class=2&seed=3&truncation=0.7&n=1")
    wait_made(page, "sample")
    expected = sample(Generator.from_pretrained(tiny), classes=[2], seed=3, truncation=0.7)[0]
    assert torch.equal(pixels(fetched(page, tiles(page, "sample").first)), expected)


def test_a_misspelt_class_is_found_and_none_is_said(page: Page) -> None:
    open_model(page, "thousand", shows="1,000 classes")
    wait_made(page, "sample", "thousand")
    clear(page, "sample-classes")
    field = page.locator("#sample-classes input[role=combobox]")
    field.fill("retriver")
    options = page.locator("#sample-classes [role=option]")
    expect(options.first).to_contain_text("retriever")
    field.fill("no such thing")
    expect(page.locator("#sample-classes .note")).to_contain_text("no such class: no such thing")
    field.fill("207")
    expect(options.first).to_contain_text("golden retriever")
    field.press("Enter")
    make(page, "sample", "Generate")
    page.wait_for_url(re.compile("class=207"))


def test_images_come_one_after_another_and_stop_when_told(page: Page) -> None:
    open_model(page, "slow", shows="2 classes")
    wait_made(page, "sample", "slow")
    set_number(page, "Images of each class", "32")
    press(page, "Generate")
    state = page.locator("#sample-sheet [role=status]")
    expect(state).to_contain_text(re.compile(r"Making images: [1-9]\d* of 64"), timeout=PATIENCE_MS)
    press(page, "Stop")
    expect(state).to_contain_text("Stopped", timeout=PATIENCE_MS)
    made = tiles(page, "sample").count()
    assert 0 < made < 64
    page.get_by_role("tab", name="About").click()
    page.get_by_role("tab", name="Sample").click()  # which does not begin it again
    page.wait_for_timeout(500)
    expect(state).to_contain_text("Stopped")
    expect(page.locator("#sample-sheet .tile")).to_have_count(made)
    press(page, "Generate")
    expect(state).to_contain_text("Making images", timeout=PATIENCE_MS)
    open_model(page, "tiny", shows="4 classes")  # in the middle of it: the old model's images must not come back
    wait_made(page, "sample", "model=tiny")
    page.wait_for_timeout(1000)
    assert page.locator("#sample-sheet h2").all_inner_texts()[0] == "tench"
    assert "slow" not in page.url


def test_children_have_parents_and_the_browser_goes_back(page: Page) -> None:
    first = shown(page, "sample")
    begun = page.url
    tiles(page, "sample").nth(1).click()
    viewer = page.locator("dialog.viewer")
    expect(viewer).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(viewer.locator("p")).to_contain_text("latent 0:2")
    viewer.get_by_role("button", name="More like this").click()
    wait_made(page, "vary", "tab=vary")
    assert parse_qs(urlsplit(page.url).query)["latent"] == ["0:2"]
    assert len(set(shown(page, "vary"))) == 8
    parent = page.locator("#vary-sheet .parents img")
    expect(parent).to_have_count(1)
    page.go_back()
    page.wait_for_url(begun)
    wait_made(page, "sample")
    assert shown(page, "sample") == first
    page.go_forward()
    wait_made(page, "vary", "tab=vary")
    with page.expect_response(re.compile("results/.*png")) as _:
        page.locator("#vary-sheet .parents button").click()
        wait_made(page, "sample", "latent=0%3A2|latent=0:2")
    assert shown(page, "sample") == [first[2]]


def test_tabs_are_steps_of_the_history(page: Page) -> None:
    for tab in ("Morph", "Walk"):
        page.get_by_role("tab", name=tab).click()
        wait_made(page, tab.lower(), f"tab={tab.lower()}.*seed=0")
    for tab in ("morph", "sample"):
        page.go_back()
        wait_made(page, tab, f"tab={tab}")
        expect(page.locator(f"#tabs [data-tab-id={tab}]")).to_have_attribute("aria-selected", "true")


def test_two_images_are_mixed(page: Page) -> None:
    corners = shown(page, "sample")
    count = len(corners) // 4
    tiles(page, "sample").first.click()
    page.locator("dialog.viewer").get_by_role("button", name="Mix with").click()
    expect(page.locator("#pairing")).to_contain_text("tench")
    tiles(page, "sample").nth(2 * count + 1).click()
    wait_made(page, "cross", "tab=cross")
    crossed = shown(page, "cross")
    assert (crossed[0], crossed[15]) == (corners[0], corners[2 * count + 1])
    assert len(set(crossed)) == 16


def test_a_latent_in_other_classes_and_a_walk_from_it(page: Page) -> None:
    tiles(page, "sample").nth(1).click()
    page.locator("dialog.viewer").get_by_role("button", name="other classes").click()
    wait_made(page, "sample", "latent=0(%3A|:)1")
    assert len(set(shown(page, "sample"))) == 4
    tiles(page, "sample").nth(1).click()
    page.locator("dialog.viewer").get_by_role("button", name="Walk from here").click()
    wait_made(page, "walk", "tab=walk")
    assert len(set(shown(page, "walk"))) == 16


def test_a_morph_follows_the_slider_and_is_a_video(page: Page, tmp_path: Path) -> None:
    page.get_by_role("tab", name="Morph").click()
    wait_made(page, "morph")  # a tab opens with images too
    clear(page, "morph-from")
    choose(page, "morph-from", "golf")
    clear(page, "morph-to")
    choose(page, "morph-to", "ten")
    set_number(page, "Frames", "5")
    make(page, "morph", "Morph")
    page.wait_for_url(re.compile("from=2"))
    assert len(shown(page, "morph")) == 5
    assert page.locator("#morph-sheet b").count() == 0
    stage = page.locator("#morph-sheet .stage img")
    slider = page.get_by_label("Place on the way").locator("visible=true")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    seen = set()
    for part in (0.2, 0.4, 0.6, 0.8):
        page.mouse.move(box["x"] + part * box["width"], box["y"] + box["height"] / 2, steps=3)
        page.wait_for_timeout(150)
        seen.add(stage.get_attribute("src"))
    page.mouse.up()
    expect(stage).to_have_attribute("src", re.compile(r"image\.png\?tab=mixture"))  # made for this very place
    assert len(seen) == 4
    fetched(page, stage)
    for name, start in (("GIF", b"GIF89a"), ("WebP", b"RIFF"), ("MP4", b"")):
        with page.expect_download() as download:
            page.locator("#morph-sheet").get_by_role("link", name=name).click()
        download.value.save_as(tmp_path / name)
        content = (tmp_path / name).read_bytes()
        assert content.startswith(start)
        assert name != "MP4" or content[4:8] == b"ftyp"


def test_a_mixture_follows_its_weights(page: Page) -> None:
    page.get_by_role("tab", name="Mixture").click()
    wait_made(page, "mixture")
    even = shown(page, "mixture")
    choose(page, "mixture-classes", "n00000002")
    make(page, "mixture", "Mix")
    page.wait_for_url(re.compile("weight=1.0&weight=1.0&weight=1.0"))
    page.locator("#mixture-classes").get_by_label("Remove crane (n00000002)").click()
    page.get_by_label("Weight of tench").fill("0.1")
    choose(page, "mixture-classes", "tench")  # again: it stays where it is, with its weight
    make(page, "mixture", "Mix")
    page.wait_for_url(re.compile("weight=0.1"))
    uneven = shown(page, "mixture")
    assert len(even) == len(uneven) == 8
    assert set(even).isdisjoint(uneven)
    choose(page, "mixture-classes", "n00000002")
    expect(page.get_by_label("Weight of crane (n00000002)")).to_be_visible()
    expect(page.get_by_label("Weight of tench")).to_have_value("0.1")


def test_truncation_shows_itself_on_the_first_row(page: Page, tiny: Path) -> None:
    before = shown(page, "sample")
    page.get_by_label("Truncation").locator("visible=true").fill("0.3")
    expect(tiles(page, "sample").first).to_have_attribute("src", re.compile("image.png"))
    page.wait_for_timeout(500)
    after = shown(page, "sample")
    row = len(before) // 4
    assert after[row:] == before[row:]
    expected = sample(Generator.from_pretrained(tiny), [0] * row, truncation=0.3)
    drawn = [pixels(fetched(page, image)) for image in tiles(page, "sample").all()[:row]]
    assert torch.equal(torch.stack(drawn), expected)


def test_truncation_leaves_each_image_its_class(visit: Callable[..., Page], tiny: Path) -> None:
    page = visit("?class=2&class=0&n=1&seed=3")
    wait_made(page, "sample")
    page.get_by_label("Truncation").locator("visible=true").fill("0.3")
    expect(tiles(page, "sample").nth(1)).to_have_attribute("src", re.compile("image.png"))
    expected = sample(Generator.from_pretrained(tiny), [2, 0], seed=3, truncation=0.3)
    assert torch.equal(pixels(fetched(page, tiles(page, "sample").nth(1))), expected[1])
    tiles(page, "sample").nth(1).click()
    viewer = page.locator("dialog.viewer")
    expect(viewer.locator("p")).to_contain_text("tench latent 3:1:0.3")
    assert torch.equal(pixels(fetched(page, viewer.locator("img"))), expected[1])


def test_dice_surprise_and_favourites(page: Page) -> None:
    make(page, "sample", "Dice")
    page.wait_for_url(re.compile("seed=[1-9]"))
    assert seed_field(page).input_value() != "0"
    make(page, "sample", "Surprise me")
    tiles(page, "sample").nth(2).click()
    viewer = page.locator("dialog.viewer")
    viewer.get_by_role("button", name="Favourite").click()
    expect(page.locator(".shelf h2").first).to_have_text("Favourites")
    page.keyboard.press("Escape")
    expect(viewer).to_have_count(0)
    page.reload()
    wait_made(page, "sample")
    kept = page.locator(".shelf section", has_text="Favourites")
    expect(kept.locator("img")).to_have_count(1)
    kept.get_by_role("button").first.click()
    wait_made(page, "sample", "latent=")
    expect(tiles(page, "sample")).to_have_count(1)


def test_every_class_has_an_image_once_one_looks(page: Page) -> None:
    open_model(page, "thousand", shows="1,000 classes")
    wait_made(page, "sample", "thousand")
    page.get_by_role("tab", name="Classes").click()
    expect(page.locator(".overview li")).to_have_count(1000)
    assert page.locator(".overview img[src]").count() < 200  # only those in view
    page.get_by_label("Find a class").fill("golden retriver")
    expect(page.locator(".overview li:visible").first).to_contain_text("golden retriever")
    image = page.locator(".overview li[data-index='207'] img")
    page.wait_for_function("(image) => image.complete && image.naturalWidth === 32", arg=image.element_handle())
    page.locator(".overview li[data-index='207'] button").click()
    wait_made(page, "sample", "class=207")
