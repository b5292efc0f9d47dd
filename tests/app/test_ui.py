"""The page as it is built: labels, endpoints, and text that cannot become markup."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from app.facts import facts_html
from app.page import Page
from app.service import Service
from app.serving import launch_options
from app.tabs.about import harmless_card
from app.tabs.mixture import MixtureTab

J = "\N{WORD JOINER}"


@pytest.fixture(scope="module")
def config(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{address}config", timeout=20) as answer:
        return dict(json.load(answer))


@pytest.mark.slow
def test_every_field_and_button_has_a_name(config: dict[str, Any]) -> None:
    for component in config["components"]:
        props = component["props"]
        if component["type"] in ("textbox", "slider", "dropdown", "checkbox", "gallery", "image", "code"):
            assert props["label"], component
        if component["type"] in ("button", "downloadbutton"):
            assert props.get("value") or props.get("label"), component


@pytest.mark.slow
def test_ids_are_unique(config: dict[str, Any]) -> None:
    ids = [component["props"].get("elem_id") for component in config["components"]]
    given = [elem_id for elem_id in ids if elem_id]
    assert len(given) == len(set(given))
    assert {"sample-run", "morph-run", "mixture-run", "walk-run", "model", "sample-classes"} <= set(given)


@pytest.mark.slow
def test_only_the_named_endpoints_are_public(config: dict[str, Any]) -> None:
    public = {entry["api_name"] for entry in config["dependencies"] if entry["api_visibility"] == "public"}
    assert public == {"sample", "morph", "mixture", "walk", "classes", "models"}


def test_the_page_asks_nothing_of_other_addresses() -> None:
    options = launch_options()
    assert not options["theme"]._stylesheets
    for path in (*options["css_paths"], *options["head_paths"]):
        text = path.read_text()
        assert "http" not in text
        assert "@import" not in text
    assert options["allowed_paths"] == []


def test_a_class_of_a_mixture_keeps_its_weight_while_others_go_and_come(tiny: Path) -> None:
    tab = object.__new__(MixtureTab)  # without its page, which would leave an event loop of Gradio's open
    tab.page, tab.sliders = Page(Service([str(tiny)], device="cpu"), None, None), [None] * 6  # type: ignore[arg-type]
    classes, *sliders = tab._follow(["2", "1"], ["0", "2"], "", "", 0.2, 0.7, 0.3, 0.4, 0.5, 0.6)
    assert classes == ["2", "1"]
    assert [(slider["value"], slider["label"]) for slider in sliders[:2]] == [
        (0.7, "Weight of golf <b>ball</b>"),
        (1.0, "Weight of crane (n00000002)"),
    ]
    assert not any(slider["visible"] for slider in sliders[2:])


def test_facts_are_text() -> None:
    shown = facts_html([("<b>x</b>", "</li><script>alert(1)</script>")])
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown


@pytest.mark.parametrize(
    ("card", "shown"),
    [
        ("---\nlicense: mit\n---\n# Title\ntext", "# Title\ntext"),
        ("a <script>alert(1)</script> b", f"a <{J}script>alert(1)<{J}/script> b"),
        ("![samples](https://example.org/x.png)", "*(samples)*"),
        ("![](samples.png)", "*(picture)*"),
        ("![a][ref]", "*(a)*"),
        ("`<b>` and <b>", f"`<{J}b>` and <{J}b>"),
        ("```\n1 < 2 ![x](y)\n```\n<i>", f"```\n1 < 2 !{J}[x](y)\n```\n<{J}i>"),
        ("a ``` b\n\n<img src=http://t.example/x.png>", f"a ``` b\n\n<{J}img src=http://t.example/x.png>"),
        ("\\` <img src=x> `", f"\\` <{J}img src=x> `"),
        ("![pic]\n\n[pic]: http://t.example/x.png", f"!{J}[pic]\n\n[pic]: http://t.example/x.png"),
        ("![a[b]c](http://t.example/x.png)", f"!{J}[a[b]c](http://t.example/x.png)"),
        ("Tom &amp; <", "Tom &amp; <"),
        ("[home](https://example.org)", "[home](https://example.org)"),
        ("", ""),
    ],
)
def test_cards_are_harmless(card: str, shown: str) -> None:
    assert harmless_card(card) == shown
