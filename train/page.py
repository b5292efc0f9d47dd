"""Pages for people in one look: an HTML file without scripts or links, its pictures in it, that opens offline."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

BASE = Path(__file__).with_name("page.html")
JOINERS = "\u200c\u200d"  # no letters, but words and emoji need them


def render(template: Path, context: Mapping[str, Any]) -> str:
    """Render a page; every value in it is escaped.

    Args:
        template: of Jinja, which extends "base": `page.html` beside this file, with the blocks title, style and body.
            It has the filters `legible` and `number`.
        context: what the template names; a name that is not there is an error.
    Returns:
        The page's text.
    """
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({"base": BASE.read_text(encoding="utf-8")}),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"legible": legible, "number": "{:,}".format}
    return environment.from_string(template.read_text(encoding="utf-8")).render(context)


def legible(text: str) -> str:
    """Return a text with what does not print written as in Python: a name may hold line breaks and worse."""
    return "".join(c if c.isprintable() or c in JOINERS else c.encode("unicode_escape").decode() for c in text)


def address(picture: bytes, kind: str) -> str:
    """Return an address that holds a picture.

    Args:
        kind: the second half of its media type, such as png.
    """
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
