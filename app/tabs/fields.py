"""Fields that several tabs have: class pickers, the seed with its dice, and truncation with its switch."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.limits import LIMITS
from app.models import Model
from app.requests.base import Request
from sngan_cond.classes import class_label

TRUNCATION_INFO = (
    "Off: plain normal latents, as evaluation uses. On: components of z further from 0 than this are drawn again, so "
    "a lower value gives more typical and less varied pictures."
)
_ROLL = "() => String(Math.floor(Math.random() * 2 ** 31))"


def class_update(model: Model, value: list[str] | str | None) -> Any:
    """Return the update that makes a class picker list a model's classes; without classes it is not to be seen.

    Args:
        model: open model.
        value: what is chosen: labels, as text.
    """
    ids = model.config.class_ids
    listed = range(min(model.config.num_classes, LIMITS.listed_classes))
    choices = [(f"{class_label(model.config, i)} · {ids[i] if ids else i}", str(i)) for i in listed]
    total = model.config.num_classes
    # Where every class is listed, Enter takes the first that fits; where not, what is typed is looked up later.
    return gr.update(choices=choices, value=value, visible=total > 0, allow_custom_value=total > len(choices))


def class_names(model: Model, classes: list[str]) -> list[str]:
    """Return what classes are called; typed text that is no label stays as it is.

    Args:
        model: open model.
        classes: values of a class picker.
    """
    known = {str(i): i for i in range(model.config.num_classes)}
    return [class_label(model.config, known[text]) if text in known else text[:40] for text in classes]


def first_classes(model: Model, count: int) -> list[str]:
    """Return a few classes, evenly spaced, to begin with."""
    total = model.config.num_classes
    count = min(count, total)
    return [str(i * total // count) for i in range(count)]


@dataclass
class Latents:
    """Fields for the latents: seed, and truncation with its switch."""

    seed: gr.Textbox
    truncates: gr.Checkbox
    threshold: gr.Slider

    @property
    def inputs(self) -> list[Any]:
        """The components, in the order in which they are declared."""
        return [self.seed, self.truncates, self.threshold]

    def restore(self, ask: Request) -> dict[Any, Any]:
        """Return the updates that show a request's latents."""
        on = ask.truncation is not None
        shown = {} if ask.truncation is None else {"value": ask.truncation, "maximum": max(2.0, ask.truncation)}
        threshold = gr.update(visible=on, **shown)
        return {self.seed: str(ask.seed), self.truncates: on, self.threshold: threshold}


def seed_field(label: str, value: str, elem_id: str) -> gr.Textbox:
    """Add a seed with its dice.

    Args:
        label: of the field.
        value: to begin with.
        elem_id: of the field; the dice is `{elem_id}-dice`.
    """
    with gr.Row(elem_classes="with-button"):
        field = gr.Textbox(
            label=label,
            value=value,
            info="The same seed gives the same pictures.",
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


def latent_fields(tab: str, seed_label: str = "Seed") -> Latents:
    """Add the fields for the latents.

    Args:
        tab: name, the start of the elements' ids.
        seed_label: label of the seed.
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
    return Latents(seed, truncates, threshold)


_SHOW_IF = "(on) => ({__type__: 'update', visible: on})"
