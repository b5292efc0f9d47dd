"""The tab that interpolates from one class to another with one latent."""

from typing import Any

import gradio as gr

from app.limits import LIMITS
from app.requests.morph import MorphRequest
from app.tabs.fields import latent_fields
from app.tabs.tab import Tab


class MorphTab(Tab):
    """Two classes, and the steps between them."""

    kind = MorphRequest
    button = "Morph"
    hint = "Choose two classes, then press Morph."
    first = 2

    def layout(self) -> dict[str, Any]:
        """Add the fields."""
        blend = "The latent stays; gains and biases of the conditional batch norms blend."
        return {
            "from_class": gr.Dropdown([], label="From", elem_id="morph-from"),
            "to_class": gr.Dropdown([], label="To", info=blend, elem_id="morph-to"),
            "steps": gr.Slider(2, LIMITS.steps, value=8, step=1, label="Steps", elem_id="morph-steps"),
            **latent_fields("morph"),
        }
