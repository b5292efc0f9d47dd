"""The tab that shows the model's card."""

import html
from typing import Any

import gradio as gr
from gradio.components import Component

from app.models import Model
from app.summary import summarise, summary_html

# Gradio confines it to the card. What is wide scrolls by itself, and leaves the page as wide as the screen.
_LOOKS = """
width: 0; min-width: 100%;
pre, table { display: block; overflow-x: auto; max-width: 100%; }
pre { background: var(--background-fill-secondary); border-radius: 10px; padding: 0.8rem 1rem; margin: 0.8rem 0; }
pre code { white-space: pre; font-size: 0.85rem; }
th, td { padding: 0.35rem 0.7rem; border: 1px solid var(--border-color-primary); text-align: left; }
img { max-width: 100%; height: auto; }
summary { cursor: pointer; }
a { padding: 0; }
"""


class AboutTab:
    """The card of the open model; made inside its `gr.Tab`."""

    def __init__(self) -> None:
        # Not gr.Markdown, which draws diagrams and formulas, and lets HTML through: each can call other addresses.
        self.facts = gr.HTML("", elem_id="about-facts", elem_classes="about", apply_default_css=False)
        self.card = gr.HTML("", css_template=_LOOKS, elem_id="about-card", elem_classes="about card")

    @property
    def components(self) -> list[Component]:
        """What `show` may change."""
        return [self.facts, self.card]

    def show(self, model: Model, request: Any = None) -> dict[Any, Any]:
        """Return the updates that show a model's card."""
        return {
            self.facts: summary_html(summarise(model)),
            self.card: model.card_html or f"<p><b>{html.escape(model.name)}</b> has no model card.</p>",
        }
