"""The tab that interpolates from one latent to another within a class."""

from typing import Any

import gradio as gr

from app.limits import LIMITS
from app.models import Model
from app.requests.walk import WalkRequest
from app.tabs.fields import class_update, first_classes, latent_fields, seed_field
from app.tabs.page import PROGRESS, Page
from app.tabs.panel import Panel


class WalkTab:
    """Fields and events of the tab; made inside its `gr.Tab`."""

    def __init__(self, page: Page) -> None:
        self.page = page
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=260, elem_classes="fields"):
                self.class_ = gr.Dropdown(
                    [],
                    label="Class",
                    info="The class stays; the latent moves.",
                    elem_id="walk-class",
                )
                self.latents = latent_fields("walk", seed_label="From seed")
                self.to_seed = seed_field("To seed", "1", "walk-to-seed")
                self.steps = gr.Slider(2, LIMITS.steps, value=8, step=1, label="Steps", elem_id="walk-steps")
                self.run = page.action_buttons("walk", "Walk")
            with gr.Column(scale=7, min_width=260, elem_classes="results"):
                self.panel = Panel("walk", moves=True, hint="Choose a class and two seeds, then press Walk.")
        self.inputs = [self.class_, self.to_seed, self.steps, *self.latents.inputs, page.model_box, page.revision_box]
        triggers = [self.run.click, self.latents.seed.submit, self.to_seed.submit]
        gr.on(triggers, self._make, **page.event(self.inputs, self.panel))

    def _make(
        self,
        class_: str,
        to_seed: str,
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
            WalkRequest,
            self.panel,
            http_request,
            progress,
            class_=class_,
            to_seed=to_seed,
            steps=steps,
            seed=seed,
            truncation=threshold if truncates else None,
            model=model,
            revision=revision,
        )

    def blank(self, model: Model) -> dict[Any, Any]:
        """Return the updates that fit the fields to a model."""
        return {self.class_: class_update(model, next(iter(first_classes(model, 1)), None))}

    def restore(self, request: WalkRequest, model: Model, labels: list[str]) -> dict[Any, Any]:
        """Return the updates that show a request for this model; labels hold its class, if any, as text."""
        fields = {self.class_: class_update(model, next(iter(labels), None)), self.to_seed: str(request.to_seed)}
        return {**fields, self.steps: request.steps, **self.latents.restore(request)}
