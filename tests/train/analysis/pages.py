"""A page as a tree, read by Python's own parser: every tag must be closed, in order."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "img", "input", "wbr", "br"}


@dataclass
class Element:
    """A tag with what it holds: elements and texts."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["Element | str"] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text within, on one line."""
        return " ".join("".join(self._texts()).split())

    def _texts(self) -> Iterator[str]:
        for child in self.children:
            if isinstance(child, str):
                yield child
            else:
                yield from child._texts()

    def all(self, tag: str = "", css_class: str = "") -> list["Element"]:
        """Every element within, in the page's order."""
        elements = [child for child in self.children if isinstance(child, Element)]
        found = []
        for element in elements:
            if tag in ("", element.tag) and css_class in ("", *element.attributes.get("class", "").split()):
                found.append(element)
            found += element.all(tag, css_class)
        return found

    def by_id(self, name: str) -> "Element":
        """The one element of an id."""
        (element,) = (element for element in self.all() if element.attributes.get("id") == name)
        return element

    def rows(self) -> list[list["Element"]]:
        """Cells of a table's body, row by row."""
        return [row.all("th") + row.all("td") for body in self.all("tbody") for row in body.all("tr")]

    def values(self) -> list[float]:
        """The exact numbers within."""
        return [float(element.attributes["value"]) for element in self.all("data")]

    def content(self) -> bytes:
        """What the address of a picture holds."""
        return base64.b64decode(self.attributes["src"].partition(";base64,")[2], validate=True)


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        assert len(element.attributes) == len(attrs), (tag, attrs)
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read_page(path: Path) -> Element:
    """Parse a page."""
    parser = _Parser()
    parser.feed(path.read_text(encoding="utf-8"))
    parser.close()
    (root,) = parser.open
    return root
