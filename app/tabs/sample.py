"""The tab that makes images of classes."""

from typing import Any

import gradio as gr

from app.limits import LIMITS, InvalidRequest
from app.models import Model
from app.requests.sample import SampleRequest
from app.service import FIRST_CLASSES
from app.tabs.fields import count_field, latent_fields
from app.tabs.tab import Page, Tab
from app.tabs.widgets import picked, picker, refusal
from sngan_cond.classes import class_text

COUNT_LABEL = "Images of each class"
SURPRISES = 4  # classes that Surprise me chooses


class SampleTab(Tab):
    """Images of classes, and a button that chooses some."""

    kind = SampleRequest
    button = "Generate"
    first = FIRST_CLASSES

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        surprised = self.surprise.click(
            self._surprise,
            [page.model_box, page.revision_box],
            [self.fields[name] for name in ("classes", "seed", "latent")] + [self.problem],
            show_progress="hidden",
            api_visibility="private",
        )
        surprised.success(self._make, **self.making)

    def choice(self) -> dict[str, Any]:
        """Add the classes."""
        return {"classes": picker("Classes", "sample-classes", find=self.page.find, limit=LIMITS.classes)}

    def more_actions(self) -> None:
        """Add the button that chooses classes."""
        self.surprise = gr.Button("Surprise me", elem_id="sample-surprise", min_width=110)

    def settings(self) -> dict[str, Any]:
        """Add the other fields."""
        return {
            "count": count_field("sample", COUNT_LABEL),
            **latent_fields("sample", replaced="seed, truncation and number"),
        }

    @property
    def components(self) -> list[Any]:
        """What `show` may change."""
        return [*super().components, self.surprise]

    def show(self, model: Model, request: Any = None) -> dict[Any, Any]:
        """Return the updates that fit the fields to a model; without classes there is none to choose or count by."""
        request = request or self.page.service.first_request(model)
        label = COUNT_LABEL if request.classes else "Images"
        return super().show(model, request) | {
            self.surprise: gr.update(visible=model.config.num_classes > 0),
            self.fields["count"]: gr.update(label=label, value=request.count),
        }

    def _surprise(self, model: str, revision: str) -> tuple[Any, ...]:
        service = self.page.service
        try:
            opened = service.open(model, revision)
            labels = service.random_classes(opened, SURPRISES)
        except InvalidRequest as error:
            return gr.skip(), gr.skip(), gr.skip(), refusal(error, {})
        texts = [class_text(opened.config, label) for label in labels]
        cleared = gr.update(value="", visible=False)
        return picked(opened, texts), str(service.random_seed()), cleared, {}
