"""Fields that several tabs have: class pickers, seeds, latents and the number of images."""

from typing import Any

import gradio as gr

from app.limits import LIMITS
from app.tabs.widgets import truncation

_PLAIN = gr.InputHTMLAttributes(autocomplete="off", spellcheck=False, enterkeyhint="go")


def line(label: str, elem_id: str, value: str = "", **options: Any) -> gr.Textbox:
    """Add a field for one line of text."""
    return gr.Textbox(
        label=label, value=value, max_lines=1, elem_id=elem_id, html_attributes=_PLAIN, min_width=120, **options
    )


def seed_field(label: str, value: str, elem_id: str) -> gr.Textbox:
    """Add a field for a seed; text, since a slider or number has no room for 2**63."""
    return line(label, elem_id, value, max_length=40)


def latent_field(tab: str, value: str = "", *, label: str) -> gr.Textbox:
    """Add a field for the name of a latent; where the seed draws one it is hidden until a link names one."""
    return line(label, f"{tab}-latent", value, max_length=LIMITS.latent_characters, visible=bool(value))


def count_field(tab: str, label: str, *, low: int = 1, high: int = LIMITS.images, value: int = 8) -> gr.Slider:
    """Add a slider for a number of images."""
    return gr.Slider(low, high, value=value, step=1, label=label, elem_id=f"{tab}-count", min_width=150)


def latent_fields(tab: str, seed_label: str = "Seed", replaced: str = "seed and truncation") -> dict[str, Any]:
    """Add the fields for the latents: "seed", "latent" and "truncation".

    Args:
        tab: their ids start with it.
        replaced: what a latent with a name stands in the place of.
    """
    return {
        "seed": seed_field(seed_label, "0", f"{tab}-seed"),
        "latent": latent_field(tab, label=f"Latent, in place of {replaced}"),
        "truncation": truncation(tab),
    }
