"""The tab that shows the model's card, made harmless."""

import re
from typing import Any

import gradio as gr
from gradio.components import Component

from app.models import Model

MAX_CARD_CHARACTERS = 200_000
_FRONT_MATTER = re.compile(r"\A---\r?\n.*?\r?\n---\r?\n", re.DOTALL)
_CODE = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]*`)", re.DOTALL)
_IMAGE = re.compile(r"!\[([^\]]*)\]\([^)]*\)|!\[([^\]]*)\]\[[^\]]*\]")

# Whatever a Markdown reader may take for the start of a tag or an image.
_BEGINNINGS = re.compile(r"<(?=[A-Za-z/!?])|!(?=\[)")
_JOINER = "\N{WORD JOINER}"  # zero width, and breaks both


class AboutTab:
    """The card of the open model; made inside its `gr.Tab`."""

    def __init__(self) -> None:
        self.card = gr.Markdown("", sanitize_html=True, elem_id="about-card", elem_classes="card")

    @property
    def components(self) -> list[Component]:
        """What `show` may change."""
        return [self.card]

    def show(self, model: Model, request: Any = None) -> dict[Any, Any]:
        """Return the updates that show a model's card."""
        return {self.card: harmless_card(model.card or "") or f"**{_plain(model.name)}** has no model card."}


def harmless_card(card: str) -> str:
    """Turn a README, written by anyone, into Markdown that neither runs nor loads anything.

    The metadata is dropped. An image becomes its description, since showing it would make the visitor's browser contact
    an address that the card's author chose. Outside code that is nicer to read, but Markdown readers disagree on what
    is code; so in a second pass an invisible character goes wherever a tag or an image could still begin, code or not.
    """
    body = _FRONT_MATTER.sub("", card[:MAX_CARD_CHARACTERS], count=1)
    parts = _CODE.split(body)
    described = "".join(part if i % 2 else _IMAGE.sub(_described, part) for i, part in enumerate(parts)).strip()
    return _BEGINNINGS.sub(lambda match: f"{match[0]}{_JOINER}", described)


def _described(match: re.Match[str]) -> str:
    return f"*({match[1] or match[2] or 'image'})*"


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
