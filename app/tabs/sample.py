"""The tab that makes images of classes."""

from typing import Any

import gradio as gr

from app.limits import LIMITS
from app.models import Model
from app.requests.sample import SampleRequest
from app.tabs.fields import class_update, first_classes, latent_fields
from app.tabs.page import PROGRESS, Page, friendly
from app.tabs.panel import Panel

SURPRISES = 4  # classes that Surprise me chooses
FIRST = 4  # classes to begin with


class SampleTab:
    """Fields and events of the tab; made inside its `gr.Tab`."""

    def __init__(self, page: Page) -> None:
        self.page = page
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=260, elem_classes="fields"):
                self.classes = gr.Dropdown(
                    [],
                    label="Classes",
                    info="Type a name or a WordNet id; choose as many as you like.",
                    multiselect=True,
                    max_choices=LIMITS.classes,
                    elem_id="sample-classes",
                )
                self.surprise = gr.Button("Surprise me", size="sm", elem_id="sample-surprise")
                self.count = gr.Slider(
                    1, LIMITS.images, value=8, step=1, label="Images of each class", elem_id="sample-count"
                )
                self.latents = latent_fields("sample")
                self.run = page.action_buttons("sample", "Generate")
            with gr.Column(scale=7, min_width=260, elem_classes="results"):
                self.panel = Panel("sample", moves=False, hint="Choose classes, then press Generate.")
        self.inputs = [self.classes, self.count, *self.latents.inputs, page.model_box, page.revision_box]
        gr.on(
            [self.run.click, self.latents.seed.submit],
            self._make,
            **page.event(self.inputs, self.panel),
        )
        surprised = self.surprise.click(
            self._surprise,
            [page.model_box, page.revision_box],
            [self.classes, self.latents.seed],
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )
        surprised.success(self._make, **page.event(self.inputs, self.panel))

    def _make(
        self,
        classes: list[str],
        count: float,
        seed: str,
        truncates: bool,
        threshold: float,
        model: str,
        revision: str,
        http_request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> dict[Any, Any]:
        return self.page.make(
            SampleRequest,
            self.panel,
            http_request,
            progress,
            classes=classes,
            count=count,
            seed=seed,
            truncation=threshold if truncates else None,
            model=model,
            revision=revision,
        )

    def _surprise(self, model: str, revision: str) -> tuple[list[str], str]:
        with friendly():
            service = self.page.service
            labels = service.random_classes(service.open(model, revision), SURPRISES)
        return [str(label) for label in labels], str(service.random_seed())

    def blank(self, model: Model) -> dict[Any, Any]:
        """Return the updates that fit the fields to a model."""
        has_classes = model.config.num_classes > 0
        return {
            self.classes: class_update(model, first_classes(model, FIRST)),
            self.surprise: gr.update(visible=has_classes),
            self.count: gr.update(label=_count_label(has_classes)),
        }

    def restore(self, request: SampleRequest, model: Model, labels: list[str]) -> dict[Any, Any]:
        """Return the updates that show a request for this model; labels are those of its classes, as text."""
        count = gr.update(value=request.count, label=_count_label(bool(labels)))
        return {self.classes: class_update(model, labels), self.count: count, **self.latents.restore(request)}


def _count_label(has_classes: bool) -> str:
    return "Images of each class" if has_classes else "Images"
