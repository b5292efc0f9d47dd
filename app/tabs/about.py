"""The tab that says what the model is: its card, harmless."""

import re
from typing import Any

import gradio as gr

from app.models import Model

MAX_CARD_CHARACTERS = 200_000
_FRONT_MATTER = re.compile(r"\A---\r?\n.*?\r?\n---\r?\n", re.DOTALL)
_CODE = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]*`)", re.DOTALL)
_PICTURE = re.compile(r"!\[([^\]]*)\]\([^)]*\)|!\[([^\]]*)\]\[[^\]]*\]")

_BEGINNINGS = re.compile(r"<(?=[A-Za-z/!?])|!(?=\[)")
_JOINER = "\N{WORD JOINER}"  # has no width


class AboutTab:
    """The card of the open model; made inside its `gr.Tab`."""

    def __init__(self) -> None:
        self.card = gr.Markdown("", sanitize_html=True, elem_id="about-card", elem_classes="card")

    def blank(self, model: Model) -> dict[Any, Any]:
        """Return the updates that show a model's card."""
        return {self.card: harmless_card(model.card) or f"**{_plain(model.name)}** has no model card."}


def harmless_card(card: str) -> str:
    """Turn a card into Markdown that neither runs nor loads anything.

    Metadata goes; a picture becomes its description, since showing it would make the visitor's browser ask an address
    that the card's author chose. Then no tag and no picture is left that any reader of Markdown would see one in,
    whatever it takes for code: an invisible character stands where each would begin.

    Args:
        card: text of a README, from anyone.
    Returns:
        Markdown.
    """
    body = _FRONT_MATTER.sub("", card[:MAX_CARD_CHARACTERS], count=1)
    parts = _CODE.split(body)
    described = "".join(part if i % 2 else _PICTURE.sub(_described, part) for i, part in enumerate(parts)).strip()
    return _BEGINNINGS.sub(lambda match: f"{match[0]}{_JOINER}", described)


def _described(match: re.Match[str]) -> str:
    return f"*({match[1] or match[2] or 'picture'})*"


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
