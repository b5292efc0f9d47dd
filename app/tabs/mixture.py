"""The tab that blends classes by weight."""

from typing import Any

import gradio as gr
from gradio.components import Component

from app.limits import LIMITS
from app.models import Model
from app.requests.mixture import MixtureRequest
from app.tabs.fields import class_names, classes_field, latent_fields
from app.tabs.tab import Page, Tab, friendly


class MixtureTab(Tab):
    """Classes, and a slider for the weight of each."""

    kind = MixtureRequest
    button = "Mix"
    hint = "Choose classes and weights, then press Mix."
    first = 2

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.before: gr.State = gr.State([])  # the classes that the sliders now stand for, in order
        self.fields["classes"].input(
            self._follow,
            {self.fields["classes"], *self.sliders, self.before, page.model_box, page.revision_box},
            [self.before, *self.sliders],
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )

    def layout(self) -> dict[str, Any]:
        """Add the fields, with as many sliders as there may be classes."""
        info = "Each has a weight; the weights are divided by their sum."
        classes = classes_field("mixture", info=info, limit=LIMITS.mixture_classes)
        weights = {
            f"weight-{i + 1}": gr.Slider(
                0, 1, value=1, step=0.01, label="Weight", visible=False, elem_id=f"mixture-weight-{i + 1}"
            )
            for i in range(LIMITS.mixture_classes)
        }
        self.sliders = list(weights.values())
        count = gr.Slider(1, LIMITS.images, value=8, step=1, label="Images", elem_id="mixture-count")
        return {"classes": classes, **weights, "count": count, **latent_fields("mixture")}

    @property
    def components(self) -> list[Component]:
        """What `show` may change."""
        return [*super().components, self.before]

    def values(self, data: dict[Component, Any]) -> dict[str, Any]:
        """Return the values of the request's fields; the weights are those of the sliders in sight."""
        values = super().values(data)
        return values | {"weights": [data[slider] for slider in self.sliders][: len(values["classes"])]}

    def show(self, model: Model, request: MixtureRequest | None = None) -> dict[Any, Any]:
        """Return the updates that fit the fields to a model; see `Tab.show`."""
        labels = self.shown_classes(model, request)
        weights = (1.0,) * len(labels) if request is None else request.weights
        largest = max(weights, default=1.0)  # above 0; sliders end at 1 but links need not, and only proportions count
        return super().show(model, request) | self._weigh(model, labels, [weight / largest for weight in weights])

    def _follow(self, data: dict[Component, Any]) -> dict[Any, Any]:
        """Keep each class's weight while others come and go."""
        labels = data[self.fields["classes"]]
        kept = dict(zip(data[self.before], (data[slider] for slider in self.sliders), strict=False))
        with friendly():
            model = self.page.service.open(data[self.page.model_box], data[self.page.revision_box])
        return self._weigh(model, labels, [kept.get(label, 1.0) for label in labels])

    def _weigh(self, model: Model, labels: list[str], weights: list[float]) -> dict[Any, Any]:
        """Return the updates that give each class a slider, and hide the others."""
        sliders = [
            gr.update(label=f"Weight of {name}", value=weight, visible=True)
            for name, weight in zip(class_names(model, labels), weights, strict=True)
        ]
        sliders += [gr.update(visible=False)] * len(self.sliders)
        return {self.before: labels, **dict(zip(self.sliders, sliders, strict=False))}
