"""The tab that interpolates from one latent to another within a class."""

from typing import Any

import gradio as gr

from app.limits import LIMITS
from app.requests.walk import WalkRequest
from app.tabs.fields import latent_fields, seed_field
from app.tabs.tab import Tab


class WalkTab(Tab):
    """A class, and the seeds at both ends of the walk."""

    kind = WalkRequest
    button = "Walk"
    hint = "Choose a class and two seeds, then press Walk."
    seeds = ("seed", "to_seed")
    first = 1

    def layout(self) -> dict[str, Any]:
        """Add the fields."""
        return {
            "class_": gr.Dropdown([], label="Class", info="The class stays; the latent moves.", elem_id="walk-class"),
            **latent_fields("walk", seed_label="From seed"),
            "to_seed": seed_field("To seed", "1", "walk-to-seed"),
            "steps": gr.Slider(2, LIMITS.steps, value=8, step=1, label="Steps", elem_id="walk-steps"),
        }
