"""The tab that interpolates from one class to another with one latent."""

from typing import Any

import gradio as gr

from app.limits import LIMITS
from app.models import Model
from app.requests.morph import MorphRequest
from app.tabs.fields import class_update, first_classes, latent_fields
from app.tabs.page import PROGRESS, Page
from app.tabs.panel import Panel


class MorphTab:
    """Fields and events of the tab; made inside its `gr.Tab`."""

    def __init__(self, page: Page) -> None:
        self.page = page
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=260, elem_classes="fields"):
                self.from_class = self._picker("From", "morph-from")
                self.to_class = self._picker("To", "morph-to")
                self.steps = gr.Slider(2, LIMITS.steps, value=8, step=1, label="Steps", elem_id="morph-steps")
                self.latents = latent_fields("morph")
                self.run = page.action_buttons("morph", "Morph")
            with gr.Column(scale=7, min_width=260, elem_classes="results"):
                self.panel = Panel("morph", moves=True, hint="Choose two classes, then press Morph.")
        self.inputs = [self.from_class, self.to_class, self.steps, *self.latents.inputs]
        self.inputs += [page.model_box, page.revision_box]
        gr.on(
            [self.run.click, self.latents.seed.submit],
            self._make,
            **page.event(self.inputs, self.panel),
        )

    @staticmethod
    def _picker(label: str, elem_id: str) -> gr.Dropdown:
        info = "The latent stays; gains and biases of the conditional batch norms blend." if label == "To" else None
        return gr.Dropdown([], label=label, info=info, elem_id=elem_id)

    def _make(
        self,
        from_class: str,
        to_class: str,
        steps: float,
        seed: str,
        truncates: bool,
        threshold: float,
        model: str,
        revision: str,
        http_request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> dict[Any, Any]:
        return self.page.make(
            MorphRequest,
            self.panel,
            http_request,
            progress,
            from_class=from_class,
            to_class=to_class,
            steps=steps,
            seed=seed,
            truncation=threshold if truncates else None,
            model=model,
            revision=revision,
        )

    def blank(self, model: Model) -> dict[Any, Any]:
        """Return the updates that fit the fields to a model."""
        first, second = [*first_classes(model, 2), None, None][:2]
        return {self.from_class: class_update(model, first), self.to_class: class_update(model, second)}

    def restore(self, request: MorphRequest, model: Model, labels: list[str]) -> dict[Any, Any]:
        """Return the updates that show a request for this model; labels are the first and the last, as text."""
        ends = {self.from_class: class_update(model, labels[0]), self.to_class: class_update(model, labels[1])}
        return {**ends, self.steps: request.steps, **self.latents.restore(request)}
