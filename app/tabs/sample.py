"""The tab that makes images of classes."""

from typing import Any

import gradio as gr
from gradio.components import Component

from app.limits import LIMITS
from app.models import Model
from app.requests.sample import SampleRequest
from app.tabs.fields import classes_field, latent_fields
from app.tabs.tab import Page, Tab, friendly
from sngan_cond.classes import class_text

SURPRISES = 4  # classes that Surprise me chooses


class SampleTab(Tab):
    """Images of classes, and a button that chooses some."""

    kind = SampleRequest
    button = "Generate"
    hint = "Choose classes, then press Generate."
    first = 4

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        surprised = self.surprise.click(
            self._surprise,
            [page.model_box, page.revision_box],
            [self.fields["classes"], self.fields["seed"]],
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )
        surprised.success(self._make, **self.making)

    def layout(self) -> dict[str, Any]:
        """Add the fields, and the button below the classes."""
        info = "Type a name or a WordNet id; choose as many as you like."
        classes = classes_field("sample", info=info, limit=LIMITS.classes)
        self.surprise = gr.Button("Surprise me", size="sm", elem_id="sample-surprise")
        count = gr.Slider(1, LIMITS.images, value=8, step=1, label="Images of each class", elem_id="sample-count")
        return {"classes": classes, "count": count, **latent_fields("sample")}

    @property
    def components(self) -> list[Component]:
        """What `show` may change."""
        return [*super().components, self.surprise]

    def show(self, model: Model, request: SampleRequest | None = None) -> dict[Any, Any]:
        """Return the updates that fit the fields to a model; without classes there is none to choose or count by."""
        value = {} if request is None else {"value": request.count}
        label = "Images of each class" if self.shown_classes(model, request) else "Images"
        return super().show(model, request) | {
            self.surprise: gr.update(visible=model.config.num_classes > 0),
            self.fields["count"]: gr.update(label=label, **value),
        }

    def _surprise(self, model: str, revision: str) -> tuple[list[str], str]:
        with friendly():
            service = self.page.service
            opened = service.open(model, revision)
            labels = service.random_classes(opened, SURPRISES)
        return [class_text(opened.config, label) for label in labels], str(service.random_seed())
