"""The tab that makes images like one image."""

from typing import Any, ClassVar

import gradio as gr

from app.requests.vary import VaryRequest
from app.tabs.fields import count_field, latent_field, seed_field
from app.tabs.tab import Tab
from app.tabs.widgets import picker


class VaryTab(Tab):
    """A parent, and how far from it its children lie."""

    kind = VaryRequest
    button = "Vary"
    seeds = ("seed", "latent")
    rolled: ClassVar[dict[str, str]] = {"seed": "String(sngan.seed())"}
    first = 1

    def choice(self) -> dict[str, Any]:
        """Add the class."""
        return {"class_": picker("Class", "vary-class", find=self.page.find)}

    def settings(self) -> dict[str, Any]:
        """Add the other fields."""
        return {
            "radius": gr.Slider(0, 1, value=0.2, step=0.01, label="Radius", elem_id="vary-radius", min_width=150),
            "count": count_field("vary", "Images"),
            "seed": seed_field("Seed", "0", "vary-seed"),
            "latent": latent_field("vary", "0:0", label="Latent of the parent"),
        }
