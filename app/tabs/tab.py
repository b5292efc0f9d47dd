"""What a tab that makes images is: fields on the left, a `Panel` on the right, and the events between them."""

import asyncio
import html
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import gradio as gr
from gradio.components import Component
from gradio.utils import get_upload_folder

from app.files import make_files
from app.limits import CancelledError, InvalidRequest
from app.models import Model
from app.requests.base import Request
from app.service import Progress, Service
from app.tabs.fields import class_update, truncation_updates
from app.tabs.panel import Panel
from app.turns import Visitor
from sngan_cond.classes import class_text

PROGRESS = gr.Progress()  # Gradio finds the parameter by this default


@contextmanager
def friendly() -> Iterator[None]:
    """Show a visitor's mistake as one sentence, on the page and in the API: no traceback, and no markup in it."""
    try:
        yield
    except InvalidRequest as error:
        raise gr.Error(
            html.escape(str(error), quote=False), title="That did not work", print_exception=False
        ) from error


def results_root() -> Path:
    """Return the folder of the results, whose files Gradio serves."""
    return Path(get_upload_folder()) / "results"


@dataclass
class Page:
    """The parts of the page that every tab needs."""

    service: Service
    model_box: gr.Dropdown
    revision_box: gr.Textbox


class Tab(ABC):
    """Fields and events of a tab; made inside its `gr.Tab`."""

    kind: ClassVar[type[Request]]
    button: ClassVar[str]  # on the button that makes the images
    hint: ClassVar[str]  # shown as long as there are no images
    seeds: ClassVar[tuple[str, ...]] = ("seed",)  # fields in which Enter makes the images too
    first: ClassVar[int]  # classes to begin with

    def __init__(self, page: Page) -> None:
        self.page = page
        tab = self.kind.tab
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=260, elem_classes="fields"):
                self.fields = self.layout()
                with gr.Row(elem_classes="actions"):
                    run = gr.Button(self.button, variant="primary", elem_id=f"{tab}-run", scale=3, min_width=140)
                    stop = gr.Button("Stop", variant="secondary", elem_id=f"{tab}-stop", scale=1, min_width=90)
            with gr.Column(scale=7, min_width=260, elem_classes="results"):
                self.panel = Panel(tab, moves=self.kind.moves, hint=self.hint)
        self.inputs = {**self.fields, "model": page.model_box, "revision": page.revision_box}
        gr.on([run.click, *(self.fields[name].submit for name in self.seeds)], self._make, **self.making)
        stop.click(self._stop, None, None, concurrency_limit=None, show_progress="hidden", api_visibility="private")

    @abstractmethod
    def layout(self) -> dict[str, Any]:
        """Add the fields.

        Returns:
            Them, by the names of the request's fields, and with those of `latent_fields`.
        """

    @property
    def components(self) -> list[Component]:
        """What `show` may change."""
        return list(self.fields.values())

    @property
    def making(self) -> dict[str, Any]:
        """What every event that makes images is declared with."""
        return {
            "inputs": set(self.inputs.values()),  # of a set Gradio passes one dictionary, by component
            "outputs": self.panel.components,
            "concurrency_limit": None,  # app/turns.py says who comes next
            "show_progress_on": self.panel.gallery,
            "api_visibility": "private",
        }

    def values(self, data: dict[Component, Any]) -> dict[str, Any]:
        """Return the values of the request's fields, unchecked; a switch that is off leaves no truncation.

        Args:
            data: values of the components in `making`.
        """
        values = {name: data[component] for name, component in self.inputs.items()}
        return values if values.get("truncates", True) else values | {"truncation": None}

    def show(self, model: Model, request: Any = None) -> dict[Any, Any]:
        """Return the updates that fit the fields to a model.

        Args:
            request: of this tab's kind and for this model, to be shown in the fields; its classes are labels.
        """
        updates: dict[Any, Any] = {}
        if request is not None:
            shown = {name: value for name, value in vars(request).items() if name in self.fields}
            shown |= {name: list(value) for name, value in shown.items() if isinstance(value, tuple)}
            shown |= {name: str(shown[name]) for name in self.seeds}
            if "truncation" in shown:
                shown |= truncation_updates(shown["truncation"])
            updates = {self.fields[name]: value for name, value in shown.items()}
        for name, value in self.kind.deal(self.shown_classes(model, request)).items():
            updates[self.fields[name]] = class_update(model, self.fields[name], value)
        return updates

    def shown_classes(self, model: Model, request: Request | None) -> list[str]:
        """Return the labels of the request's classes, or of a few to begin with, evenly spaced, as text."""
        if request is not None:
            return list(request.class_texts)
        total = model.config.num_classes
        count = min(self.first, total)
        return [class_text(model.config, i * total // count) for i in range(count)]

    async def _make(
        self, data: dict[Component, Any], http_request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> dict[Any, Any]:
        started = time.perf_counter()

        def told(step: Progress) -> None:
            if step.stage == "making":
                progress((step.done, step.total), desc="Making images", unit="images")
            else:
                waiting = f"Waiting for {step.ahead} requests of others"
                progress(0, desc=waiting if step.stage == "waiting" else "Opening the model")

        try:
            with friendly():
                request = self.kind.parse(**self.values(data))
                visitor = Visitor.of(http_request)
                result, folder = await make_files(self.page.service, request, visitor, results_root(), told)
        except CancelledError:
            return self.panel.stopped()
        return self.panel.show(result, await asyncio.to_thread(folder.all), time.perf_counter() - started)

    def _stop(self, http_request: gr.Request) -> None:
        if not self.page.service.cancel(Visitor.of(http_request)):
            gr.Info("Nothing is being made.", duration=3)
