"""A model's card, written by anyone, as HTML that neither loads nor runs anything.

markdown-it reads the Markdown and escapes every tag. Of what it makes, links to the web and to mail addresses remain,
and images become their descriptions: showing one would make a visitor's browser contact an address that the card's
author chose. The only tags of a card's own that count are those of `details`, in which cards keep long lists.
"""

import html
import math
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

MAX_CARD_CHARACTERS = 200_000
MAX_NESTING = 20  # of lists (which count twice) and quotes in one another, and of `details`
MAX_SAMPLES_BYTES = 2**21  # of samples.png
MAX_SAMPLES_PX = 8192  # on a side: a small file can hold an image that takes all of a browser's memory
_LINKS = ("http://", "https://", "mailto:")
_SAMPLES = ("samples.png", "./samples.png")
_DETAILS_TAG = re.compile(r"<(/?)(details|summary)(\s+open(?:=\"\")?)?\s*>", re.IGNORECASE)
_LONG_NUMBER = re.compile(r"(?<![\w.])\d+\.\d{3,40}(?:[eE][+-]?\d{1,3})?(?![\w.])", re.ASCII)


def card_html(text: str, *, samples: str | None = None) -> str:
    """Return a card as HTML.

    Args:
        text: Markdown, of which YAML front matter is dropped.
        samples: address of the model's samples.png, shown where the card shows this file; None shows its description.
    Returns:
        Elements that are all closed; empty if there is nothing to show. What was too long or too deep is cut, and the
        end says so.
    """
    body = _without_front_matter(text).strip("\n")
    shown = body[:MAX_CARD_CHARACTERS]
    env: dict[str, Any] = {"samples": samples}
    made = _MARKDOWN.render(shown, env)
    if env.get("too_deep"):
        made += "<p><em>What lies too deep in lists and quotes is not shown.</em></p>\n"
    if rest := len(body) - len(shown):
        made += f"<p><em>The card goes on for {rest:,} characters, which are not shown.</em></p>\n"
    return made


def samples_png(path: Path) -> bytes | None:
    """Return a model's samples.png; None if it is no PNG, unreadable or too large."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SAMPLES_BYTES + 1)
    except OSError:
        return None
    if len(data) > MAX_SAMPLES_BYTES or not data.startswith(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR") or len(data) < 24:
        return None
    return data if max(struct.unpack(">II", data[16:24])) <= MAX_SAMPLES_PX else None


def _without_front_matter(text: str) -> str:
    lines = text.replace("\r\n", "\n")
    if not lines.startswith("---\n"):
        return lines
    end = re.compile(r"^---[ \t]*$", re.MULTILINE).search(lines, 4)
    return lines if end is None else lines[end.end() :]


def _reader() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False, "maxNesting": MAX_NESTING}).enable(["table", "strikethrough"])
    reader.validateLink = lambda _: True  # type: ignore[method-assign]  # `_safe_links` tells, and keeps the text
    reader.block.ruler.at("html_block", _details, {"alt": ["paragraph", "reference", "blockquote"]})
    reader.core.ruler.after("block", "balance_details", _balance_details)
    reader.core.ruler.push("harmless", _harmless)
    reader.add_render_rule("image", _image)
    return reader


def _details(state: StateBlock, start_line: int, _: int, silent: bool) -> bool:
    """Read a line that begins with a tag of `details` or `summary`, with the text between its tags."""
    line = state.src[state.bMarks[start_line] + state.tShift[start_line] : state.eMarks[start_line]]
    if state.is_code_block(start_line) or not _DETAILS_TAG.match(line):
        return False
    if silent:
        return True
    end = 0
    for tag in _DETAILS_TAG.finditer(line):
        _push_paragraph(state, line[end : tag.start()])
        closing, name, is_open = tag.groups()
        token = state.push("tag", name.lower(), 0)  # `_balance_details` finds out which belong together
        token.content = tag[0]
        token.meta = {"closing": bool(closing)}
        if is_open:
            token.attrSet("open", "")
        end = tag.end()
    _push_paragraph(state, line[end:])
    state.line = start_line + 1
    return True


def _push_paragraph(state: StateBlock, text: str) -> None:
    if text.strip():
        state.push("paragraph_open", "p", 1)
        state.push("inline", "", 0).content = text.strip()
        state.push("paragraph_close", "p", -1)


def _balance_details(state: StateCore) -> None:
    """Make elements of the tags that belong together, close those left open, and show the others as text."""
    kept: list[Token] = []
    within: list[str] = []  # the elements around: of `details` their tags, of Markdown ""
    for token in state.tokens:
        if token.type == "tag":
            elements = _closed_by if token.meta["closing"] else _opened
            kept += elements(token, within) or _as_paragraph(token)
            continue
        if token.nesting == -1:
            kept += _closed(within, down_to="")
        if token.type.startswith("paragraph") and within[-1:] == ["summary"]:
            token.hidden = True  # a summary is one line
        if token.nesting == 1:
            within.append("")
        kept.append(token)
    kept += _closed(within, down_to=None)
    state.tokens = kept


def _opened(token: Token, within: list[str]) -> list[Token]:
    inside = within[-1:]
    fits = inside == ["details"] if token.tag == "summary" else inside != ["summary"]
    if not fits or within.count("details") >= MAX_NESTING:
        return []
    within.append(token.tag)
    return [_element(token.tag, 1, token.attrs)]


def _closed_by(token: Token, within: list[str]) -> list[Token]:
    """Close a `summary`, or `details` with the summary in it, if they are the innermost elements."""
    fits = within[-1:] == [token.tag] or (token.tag == "details" and within[-2:] == ["details", "summary"])
    return _closed(within, down_to=token.tag) if fits else []


def _closed(within: list[str], *, down_to: str | None) -> list[Token]:
    tokens = []
    while within:
        tag = within.pop()
        if tag:
            tokens.append(_element(tag, -1))
        if tag == down_to:
            break
    return tokens


def _element(tag: str, nesting: Any, attrs: Any = None) -> Token:
    return Token(
        f"{tag}_{'open' if nesting == 1 else 'close'}", tag, nesting, attrs=attrs or {}, block=tag == "details"
    )


def _as_paragraph(token: Token) -> list[Token]:
    text = Token("inline", "", 0, content=token.content, children=[])
    return [Token("paragraph_open", "p", 1, block=True), text, Token("paragraph_close", "p", -1, block=True)]


def _harmless(state: StateCore) -> None:
    in_cell: Token | None = None
    for token, content, end in zip(state.tokens, state.tokens[1:], state.tokens[2:], strict=False):
        if token.type == "th_open" and not content.content.strip():
            token.tag = end.tag = "td"  # a header that says nothing is none to a screen reader
    for token in state.tokens:
        if token.type in ("blockquote_open", "list_item_open") and token.level + 1 >= MAX_NESTING:
            state.env["too_deep"] = True  # markdown-it reads nothing further in
        token.info = ""  # the language of code, which would become a class
        if token.type == "td_open":
            in_cell = token
        elif token.type == "inline":
            token.children = list(_safe_links(token.children or []))
            if in_cell is not None:
                _shorten_numbers(in_cell, token.children)
            in_cell = None


def _safe_links(tokens: list[Token]) -> Iterator[Token]:
    kept: list[bool] = []  # of the links around: an address in angle brackets can stand within a link
    for token in tokens:
        if token.type == "link_open":
            kept.append(str(token.attrGet("href")).lower().startswith(_LINKS) and not any(kept))
            token.attrs = {"href": token.attrs["href"], "rel": "noopener nofollow", "target": "_blank"}
        within = kept.pop() if token.type == "link_close" else kept[-1:] == [True]
        if within or not token.type.startswith("link_"):
            yield token


def _shorten_numbers(cell: Token, tokens: list[Token]) -> None:
    """Show numbers of many digits with four, and the whole text of their cell where the mouse rests on it."""
    whole = "".join(token.content for token in tokens)
    for token in tokens:
        if token.type == "text":
            token.content = _LONG_NUMBER.sub(_shortened, token.content)
    if "".join(token.content for token in tokens) != whole:
        cell.attrSet("title", whole)


def _shortened(match: re.Match[str]) -> str:
    value = float(match[0])
    if not math.isfinite(value) or sum(map(str.isdigit, match[0].partition("e")[0].lstrip("0."))) <= 4:
        return match[0]
    return f"{value:.4g}" if value < 10_000 else f"{value:.0f}"


def _image(renderer: Any, tokens: list[Token], index: int, options: Any, env: dict[str, Any]) -> str:
    image = tokens[index]
    description = html.escape(renderer.renderInlineAsText(image.children, options, env).strip() or "image")
    if env["samples"] is not None and image.attrGet("src") in _SAMPLES:
        return f'<img src="{html.escape(env["samples"])}" alt="{description}">'
    return f"<em>({description})</em>"


_MARKDOWN = _reader()
