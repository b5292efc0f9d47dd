"""The tab that blends classes by weight."""

from typing import Any

import gradio as gr

from app.limits import LIMITS
from app.models import Model
from app.requests.mixture import MixtureRequest
from app.tabs.fields import class_names, class_update, first_classes, latent_fields
from app.tabs.page import PROGRESS, Page, friendly
from app.tabs.panel import Panel


class MixtureTab:
    """Fields and events of the tab; made inside its `gr.Tab`."""

    def __init__(self, page: Page) -> None:
        self.page = page
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=260, elem_classes="fields"):
                self.classes = gr.Dropdown(
                    [],
                    label="Classes",
                    info="Each has a weight; the weights are divided by their sum.",
                    multiselect=True,
                    max_choices=LIMITS.mixture_classes,
                    elem_id="mixture-classes",
                )
                self.sliders = [
                    gr.Slider(
                        0, 1, value=1, step=0.01, label="Weight", visible=False, elem_id=f"mixture-weight-{i + 1}"
                    )
                    for i in range(LIMITS.mixture_classes)
                ]
                self.count = gr.Slider(1, LIMITS.images, value=8, step=1, label="Images", elem_id="mixture-count")
                self.latents = latent_fields("mixture")
                self.run = page.action_buttons("mixture", "Mix")
            with gr.Column(scale=7, min_width=260, elem_classes="results"):
                self.panel = Panel("mixture", moves=False, hint="Choose classes and weights, then press Mix.")
        self.before: gr.State = gr.State([])  # the classes that the sliders now stand for, in order
        self.inputs = [self.classes, self.count, *self.latents.inputs, page.model_box, page.revision_box, *self.sliders]
        gr.on(
            [self.run.click, self.latents.seed.submit],
            self._make,
            **page.event(self.inputs, self.panel),
        )
        self.classes.input(
            self._follow,
            [self.classes, self.before, page.model_box, page.revision_box, *self.sliders],
            [self.before, *self.sliders],
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )

    def _make(
        self,
        classes: list[str],
        count: float,
        seed: str,
        truncates: bool,
        threshold: float,
        model: str,
        revision: str,
        first: float,
        second: float,
        third: float,
        fourth: float,
        fifth: float,
        sixth: float,
        http_request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> dict[Any, Any]:
        # One parameter for each slider: Gradio finds where http_request goes by its position, so *weights would not do.
        weights = (first, second, third, fourth, fifth, sixth)
        return self.page.make(
            MixtureRequest,
            self.panel,
            http_request,
            progress,
            classes=classes,
            weights=weights[: len(classes)],
            count=count,
            seed=seed,
            truncation=threshold if truncates else None,
            model=model,
            revision=revision,
        )

    def _follow(self, classes: list[str], before: list[str], model: str, revision: str, *weights: float) -> list[Any]:
        """Keep each class's weight while others come and go."""
        kept = dict(zip(before, weights, strict=False))
        with friendly():
            names = class_names(self.page.service.open(model, revision), classes)
        return [classes, *self._slider_updates(names, [kept.get(label, 1.0) for label in classes])]

    def _slider_updates(self, names: list[str], weights: list[float]) -> list[Any]:
        shown = [
            gr.update(label=f"Weight of {name}", value=weight, visible=True)
            for name, weight in zip(names, weights, strict=True)
        ]
        return (shown + [gr.update(visible=False)] * len(self.sliders))[: len(self.sliders)]

    def blank(self, model: Model) -> dict[Any, Any]:
        """Return the updates that fit the fields to a model."""
        labels = first_classes(model, 2)
        return {self.classes: class_update(model, labels), **self._weights(model, labels, [1.0] * len(labels))}

    def restore(self, request: MixtureRequest, model: Model, labels: list[str]) -> dict[Any, Any]:
        """Return the updates that show a request for this model; labels are those of its classes, as text."""
        fields = {self.classes: class_update(model, labels), self.count: request.count, **self.latents.restore(request)}
        largest = max(request.weights)  # above 0; sliders end at 1 but links need not, and only proportions count
        return {**fields, **self._weights(model, labels, [weight / largest for weight in request.weights])}

    def _weights(self, model: Model, labels: list[str], weights: list[float]) -> dict[Any, Any]:
        updates = self._slider_updates(class_names(model, labels), weights)
        return {self.before: labels, **dict(zip(self.sliders, updates, strict=True))}
