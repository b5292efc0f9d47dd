"""Fields that several tabs have: class pickers, the seed with its dice, and truncation with its switch."""

from typing import Any

import gradio as gr

from app.limits import LIMITS
from app.models import Model
from sngan_cond.classes import class_label, class_text

TRUNCATION_INFO = (
    "Off: plain normal latents, as evaluation uses. On: components of z further from 0 than this are drawn again, so "
    "a lower value gives more typical and less varied images."
)
_ROLL = "() => String(Math.floor(Math.random() * 2 ** 31))"
_SHOW_IF = "(on) => ({__type__: 'update', visible: on})"  # what gr.update returns, without a call of the server


def classes_field(tab: str, *, info: str, limit: int) -> gr.Dropdown:
    """Add a picker of up to `limit` classes."""
    return gr.Dropdown([], label="Classes", info=info, multiselect=True, max_choices=limit, elem_id=f"{tab}-classes")


def class_update(model: Model, picker: gr.Dropdown, value: tuple[str, ...] | str) -> Any:
    """Return the update that makes a class picker list a model's classes; it is hidden if there are none.

    Args:
        value: chosen classes, or one, as `class_text` writes them.
    """
    chosen = list(value) if picker.multiselect else value or None
    config, ids, total = model.config, model.config.class_ids, model.config.num_classes
    listed = range(min(total, LIMITS.listed_classes))
    choices = [(f"{class_label(config, i)} · {ids[i] if ids else i}", class_text(config, i)) for i in listed]
    # Where every class is listed, Enter takes the first that matches; otherwise what was typed is looked up later.
    return gr.update(choices=choices, value=chosen, visible=total > 0, allow_custom_value=total > len(choices))


def class_names(model: Model, classes: list[str]) -> list[str]:
    """Return the names of a class picker's values; typed text that is no label stays as it is."""
    known = {class_text(model.config, i): i for i in range(model.config.num_classes)}
    return [class_label(model.config, known[text]) if text in known else text[:40] for text in classes]


def truncation_updates(truncation: float | None) -> dict[str, Any]:
    """Return the updates of "truncates" and "truncation" that show a request's truncation, or hide the threshold."""
    if truncation is None:
        return {"truncates": False, "truncation": gr.update(visible=False)}
    slider = gr.update(visible=True, value=truncation, maximum=max(2.0, truncation))  # links may ask for more than 2
    return {"truncates": True, "truncation": slider}


def seed_field(label: str, value: str, elem_id: str) -> gr.Textbox:
    """Add a seed with its dice, whose id is `{elem_id}-dice`."""
    with gr.Row(elem_classes="with-button"):
        field = gr.Textbox(
            label=label,
            value=value,
            info="The same seed gives the same images.",
            max_lines=1,
            max_length=40,
            scale=4,
            min_width=120,
            elem_id=elem_id,
            html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False, enterkeyhint="go"),
        )
        dice = gr.Button("Roll dice", size="sm", scale=1, min_width=96, elem_id=f"{elem_id}-dice")
    dice.click(None, None, field, js=_ROLL, api_visibility="private")
    return field


def latent_fields(tab: str, seed_label: str = "Seed") -> dict[str, Any]:
    """Add the fields for the latents: "seed", "truncates" and, for the threshold, "truncation".

    Args:
        tab: their ids start with it.
    """
    seed = seed_field(seed_label, "0", f"{tab}-seed")
    truncates = gr.Checkbox(False, label="Truncate the latents", info=TRUNCATION_INFO, elem_id=f"{tab}-truncates")
    threshold = gr.Slider(
        0.05,
        2.0,
        value=0.7,
        step=0.05,
        label="Truncation threshold, in standard deviations",
        visible=False,
        elem_id=f"{tab}-threshold",
    )
    truncates.change(None, truncates, threshold, js=_SHOW_IF, api_visibility="private")
    return {"seed": seed, "truncates": truncates, "truncation": threshold}
