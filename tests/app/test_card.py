"""Cards, which anyone may have written, as HTML: what is shown, and that nothing in them loads, runs or takes long."""

import random
import re
import struct
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from app.card import MAX_CARD_CHARACTERS, MAX_SAMPLES_PX, card_html, samples_png
from app.models import ModelStore
from sngan_cond.hub.files import BUNDLED_FOLDER
from tests.app.models import save_tiny
from tests.processes import ROOT

VOID = {"img", "br", "hr"}
ALLOWED = VOID | {"h1", "h2", "h3", "h4", "h5", "h6", "p", "em", "strong", "s", "code", "pre", "a", "ul", "ol", "li"}
ALLOWED |= {"blockquote", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"}
ATTRIBUTES = {
    "a": {"href", "rel", "target"},
    "details": {"open"},
    "img": {"src", "alt"},
    "ol": {"start"},
    "td": {"style", "title"},
    "th": {"style"},
}
LINK = '<a href="{}" rel="noopener nofollow" target="_blank">{}</a>'


class Elements(HTMLParser):
    """Reads HTML, checks that every element is allowed and closed, and notes what there is."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = ""
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED
        assert {name for name, _ in attrs} <= ATTRIBUTES.get(tag, set()), (tag, attrs)
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]
        assert all(re.fullmatch("text-align:(left|center|right)", value or "") for n, value in attrs if n == "style")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    ("card", "shown"),
    [
        ("---\nlicense: mit\n---\n# Title\ntext", "<h1>Title</h1>\n<p>text</p>"),
        ("---\r\nlicense: mit\r\n---\r\ntext", "<p>text</p>"),
        ("---\nlicense: mit\n---", ""),
        ("---\nno end", "<hr />\n<p>no end</p>"),
        ("a <script>alert(1)</script> b", "<p>a &lt;script&gt;alert(1)&lt;/script&gt; b</p>"),
        ("<div onclick=x>\n\n*a*", "<p>&lt;div onclick=x&gt;</p>\n<p><em>a</em></p>"),
        ("![samples](https://example.org/x.png)", "<p><em>(samples)</em></p>"),
        ("![](x.png)", "<p><em>(image)</em></p>"),
        ("![a[b]c*d*][r]\n\n[r]: http://t.example/x.png", "<p><em>(a[b]cd)</em></p>"),
        ("```mermaid\n1 < 2 ![x](y)\n```\n<i>", "<pre><code>1 &lt; 2 ![x](y)\n</code></pre>\n<p>&lt;i&gt;</p>"),
        ("`<b>` and <b>", "<p><code>&lt;b&gt;</code> and &lt;b&gt;</p>"),
        ("Tom &amp; <", "<p>Tom &amp; &lt;</p>"),
        ("[home](https://example.org 'title')", f"<p>{LINK.format('https://example.org', 'home')}</p>"),
        ("<mailto:a@example.org>", f"<p>{LINK.format('mailto:a@example.org', 'mailto:a@example.org')}</p>"),
        ("[*a*](b.md) [c](//t.example) [d](JavaScript:alert) [e](http:t)", "<p><em>a</em> c d e</p>"),
        ("[a <http://b> c](d.md)", f"<p>a {LINK.format('http://b', 'http://b')} c</p>"),
        ("[a <data:b> c](http://d) e", f"<p>{LINK.format('http://d', 'a data:b c')} e</p>"),
        ("[![badge](http://b)](http://d)", f"<p>{LINK.format('http://d', '<em>(badge)</em>')}</p>"),
        ("~~a~~", "<p><s>a</s></p>"),
        ("", ""),
    ],
)
def test_cards_are_harmless(card: str, shown: str) -> None:
    assert card_html(card).strip() == shown


@pytest.mark.parametrize(
    ("card", "shown"),
    [
        (
            "<details><summary>Classes</summary>\n\na, b\n\n</details>\n\nc",
            "<details>\n<summary>Classes</summary><p>a, b</p>\n</details>\n<p>c</p>",
        ),
        (
            "<DETAILS open>\n<summary>\n*a* <b>\n</summary>\nb\n</details>",
            '<details open="">\n<summary><em>a</em> &lt;b&gt;</summary><p>b</p>\n</details>',
        ),
        ("- <details>\n\n  a\n\nb", "<ul>\n<li>\n<details>\n<p>a</p>\n</details>\n</li>\n</ul>\n<p>b</p>"),
        (
            "> <details>a\n\n</details>b",
            "<blockquote>\n<details>\n<p>a</p>\n</details>\n</blockquote>\n<p>TAG</p>\n<p>b</p>",
        ),
        ("<details><summary>a</details>b", "<details>\n<summary>a</summary></details>\n<p>b</p>"),
        ("</details>\n</summary>", "<p>TAG</p>\n<p>&lt;/summary&gt;</p>"),
        ("<summary>a", "<p>&lt;summary&gt;</p>\n<p>a</p>"),
        ("<details onclick=x>", "<p>&lt;details onclick=x&gt;</p>"),
        ("a <details> b", "<p>a &lt;details&gt; b</p>"),
        ("    <details>", "<pre><code>&lt;details&gt;\n</code></pre>"),
    ],
)
def test_details_are_elements_and_never_left_open(card: str, shown: str) -> None:
    assert card_html(card).strip() == shown.replace("TAG", "&lt;/details&gt;")


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("0.018362849", "0.01836"),
        ("49.742007029283656 ± 0.0700001", "49.74 ± 0.07"),
        ("123456.789", "123457"),
        ("-1.23456e-07", "-1.235e-07"),
        ("**5.287013022597027**", "5.287"),
    ],
)
def test_long_numbers_in_tables_are_short(number: str, shown: str) -> None:
    html = card_html(f"{number}\n\n| a |\n|---|\n| {number} |\n")
    assert f'<td title="{number.strip("*")}">' in html
    assert [line.strip() for line in Elements(html).text.splitlines() if line.strip()] == [
        number.strip("*"),
        "a",
        shown,
    ]


@pytest.mark.parametrize(
    "text", ["50000", "2.11.0", "3.12", "149.3", "0.5000", "v0.123456", "a0.12345", "1.23456789.0"]
)
def test_other_text_in_tables_stays(text: str) -> None:
    assert f"<td>{text}</td>" in card_html(f"| a |\n|---|\n| {text} |\n")


def test_only_the_models_own_samples_are_shown() -> None:
    card = (
        "![a](samples.png) ![b](./samples.png) ![c](x/samples.png) ![d](http://t.example/samples.png) ![e][samples.png]"
    )
    html = card_html(card, samples='data:"')
    assert re.findall("<img [^>]*>", html) == [f'<img src="data:&quot;" alt="{name}">' for name in "ab"]
    assert "<img" not in card_html(card)


def test_samples_that_a_browser_cannot_bear_are_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "samples.png"
    assert samples_png(path) is None
    good = (BUNDLED_FOLDER / "samples.png").read_bytes()
    for data, shown in [
        (good, True),
        (good[:16] + struct.pack(">II", 1, MAX_SAMPLES_PX + 1) + good[24:], False),
        (good[:20], False),
        (b"<svg>" + good, False),
        (good + bytes(2**21), False),
    ]:
        path.write_bytes(data)
        assert samples_png(path) == (data if shown else None)


@pytest.mark.parametrize("folder", [BUNDLED_FOLDER, ROOT / "releases" / "cifar10-32"], ids=["bundled", "cifar10-32"])
def test_the_projects_own_cards(folder: Path) -> None:
    model = ModelStore([str(folder)]).open()
    assert model.card_html is model.card_html
    read = Elements(model.card_html)
    assert {"h2", "table", "pre", "details", "summary", "a", "img"} <= set(read.tags)
    assert "pytorch_model_hub_mixin" not in read.text  # the metadata
    assert "<" not in read.text
    assert all(address.startswith(("https://", f"sngan/samples.png?model={folder.name}")) for address in read.addresses)


def test_a_header_without_words_is_a_cell() -> None:
    made = card_html("| | FID |\n| --- | --- |\n| ours | 17 |\n")
    assert made.count("<th>") == 1
    assert "<td></td>\n<th>FID</th>" in made


def test_a_model_without_samples_has_a_card(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "toy")
    (folder / "samples.png").unlink()
    assert "<em>(samples)</em>" in ModelStore([str(folder)]).open().card_html


def test_whatever_is_written_is_closed_and_allowed() -> None:
    parts = [
        "<details>",
        "<details open>",
        "</details>",
        "<summary>",
        "</summary>",
        "\n",
        "\n\n",
        "- ",
        "> ",
        "1. ",
        "    ",
    ]
    parts += [
        "a",
        "|",
        "|-|\n",
        "*",
        "**",
        "~~",
        "`",
        "```",
        "![",
        "[",
        "](http://a)",
        "](b)",
        "<http://c>",
        "<data:d>",
    ]
    parts += [
        "<b onclick=e>",
        "# ",
        "---\n",
        "&lt;",
        '"',
        "0.123456",
        "<!--",
        "\\",
        "[f]: javascript:g\n",
        "][f]",
        "\t",
        "\0",
    ]
    draw = random.Random(5)
    for _ in range(400):
        read = Elements(card_html("".join(draw.choices(parts, k=40))))
        assert set(read.addresses) <= {"http://a", "http://c"}


def test_what_is_cut_is_told() -> None:
    assert card_html("a " * MAX_CARD_CHARACTERS).endswith(
        "a</p>\n<p><em>The card goes on for 200,000 characters, which are not shown.</em></p>\n"
    )
    told = "<p><em>What lies too deep in lists and quotes is not shown.</em></p>\n"
    for mark, levels in (("> ", 19), ("- ", 9)):
        assert card_html(mark * levels + "a").count("<p>a</p>" if mark == "> " else "<li>a</li>") == 1
        assert not card_html(mark * levels + "a").endswith(told)
        assert card_html(mark * (levels + 1) + "a").endswith(told)


@pytest.mark.slow
@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(lambda n: "![" * (n // 2), id="images"),
        pytest.param(lambda n: "![" * (n // 6) + "](a)" * (n // 6), id="images in images"),
        pytest.param(lambda n: "[" * n, id="brackets"),
        pytest.param(lambda n: '[a](b "' * (n // 7), id="titles"),
        pytest.param(lambda n: "[a](<b" * (n // 6), id="addresses"),
        pytest.param(lambda n: "[a]: b\n" * (n // 7), id="references"),
        pytest.param(lambda n: " ".join("`" * length for length in range(1, int((2 * n) ** 0.5))), id="backticks"),
        pytest.param(lambda n: "*a **a " * (n // 7), id="emphasis"),
        pytest.param(lambda n: "<details>" * (n // 9), id="details"),
        pytest.param(lambda n: "<details><summary>\n" * (n // 20), id="summaries"),
        pytest.param(lambda n: "<details" + " " * n, id="spaces in a tag"),
        pytest.param(lambda n: "|a" * (n // 2) + "\n" + "|-" * (n // 2), id="columns"),
        pytest.param(lambda n: "|a|\n|-|\n" + "|a|\n" * (n // 4), id="rows"),
        pytest.param(lambda n: "|a|\n|-|\n|" + "1.1" * (n // 3), id="numbers"),
        pytest.param(lambda n: ">" * n, id="quotes"),
        pytest.param(lambda n: ("> " * 19 + "a\n") * (n // 40), id="lines of deep quotes"),
        pytest.param(lambda n: "- " * (n // 2), id="lists"),
        pytest.param(lambda n: "".join("  " * depth + "- a\n" for depth in range(int(n**0.5))), id="nested lists"),
        pytest.param(lambda n: "---\n" + "a: ---\n" * (n // 7), id="front matter"),
    ],
)
def test_no_card_takes_more_than_time_in_proportion(hostile: Callable[[int], str]) -> None:
    started = time.perf_counter()
    Elements(card_html(hostile(MAX_CARD_CHARACTERS)))
    assert time.perf_counter() - started < 15  # three at most when alone; what is quadratic took minutes
