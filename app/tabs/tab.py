"""What a tab that makes images is: its fields in a bar, what is wrong beside them, and the result as a sheet."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, ClassVar

import gradio as gr
from gradio.components import Component

from app.limits import CancelledError, InvalidRequest
from app.models import Model
from app.requests.base import Request
from app.requests.latent import LatentRequest
from app.results import Results
from app.service import Service, spaced
from app.tabs.widgets import Find, chosen, picked, problem, refusal, sheet
from app.turns import Visitor
from sngan_cond.classes import class_text


@dataclass
class Page:
    """The parts of the page that every tab needs."""

    service: Service
    results: Results
    find: Find
    model_box: gr.Dropdown
    revision_box: gr.Textbox


class Tab(ABC):
    """Fields and events of a tab; made inside its `gr.Tab`."""

    kind: ClassVar[type[Request]]
    button: ClassVar[str]  # on the button that makes the images
    seeds: ClassVar[tuple[str, ...]] = ("seed",)  # fields in which Enter makes the images too
    rolled: ClassVar[dict[str, str]] = {"seed": "String(sngan.seed())", "latent": "''"}  # what the dice does, in script
    first: ClassVar[int]  # classes to begin with

    def __init__(self, page: Page) -> None:
        self.page = page
        self._attempts: dict[Visitor, object] = {}  # the latest of each visitor
        tab = self.kind.tab
        with gr.Column(elem_classes="tab-body"):
            with gr.Row(elem_classes="bar", equal_height=False):
                self.fields = self.choice()
                with gr.Row(elem_classes="actions"):
                    self.run = gr.Button(self.button, variant="primary", elem_id=f"{tab}-run", min_width=110)
                    self.dice = gr.Button("Dice", elem_id=f"{tab}-dice", min_width=70)
                    self.more_actions()
                    self.stop = gr.Button("Stop", elem_id=f"{tab}-stop", elem_classes="stop", min_width=70)
                    more = gr.Button("Settings", elem_classes="settings", min_width=80)
            with gr.Row(elem_classes="knobs", equal_height=False):
                self.fields |= self.settings()
            self.problem = problem(tab)
            self.sheet = sheet(tab)
        self.inputs = {**self.fields, "model": page.model_box, "revision": page.revision_box}
        more.click(None, None, None, js=f"() => window.sngan.settings('{tab}')", api_visibility="private")
        entered = [self.fields[name].submit for name in dict.fromkeys([*self.seeds, "latent"]) if name in self.fields]
        gr.on([self.run.click, *entered], self._make, **self.making)
        rolls = {name: script for name, script in self.rolled.items() if name in self.fields}
        rolled = self.dice.click(
            None,
            None,
            [self.fields[name] for name in rolls],
            js=f"() => [{', '.join(rolls.values())}]",
            api_visibility="private",
        )
        rolled.then(self._make, **self.making)
        self.stop.click(self.stop_making, show_progress="hidden", queue=False, api_visibility="private")

    @abstractmethod
    def choice(self) -> dict[str, Any]:
        """Add the fields of which the request is made before all others, such as classes, and return them by name."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Add the other fields, and return them by name."""

    def more_actions(self) -> None:  # noqa: B027 - most tabs have none
        """Add further buttons."""

    @property
    def seed_or_latent(self) -> bool:
        """Whether a latent with a name can stand in the place of what the seed draws."""
        return issubclass(self.kind, LatentRequest)

    @property
    def components(self) -> list[Component]:
        """What `show` may change."""
        return [*self.fields.values(), self.problem, self.sheet]

    @property
    def making(self) -> dict[str, Any]:
        """What every event that makes images is declared with."""
        return {
            "inputs": set(self.inputs.values()),  # of a set Gradio passes one dictionary, by component
            "outputs": [self.sheet, self.problem],
            "show_progress": "hidden",
            "trigger_mode": "multiple",  # a new request ends the one before
            "api_visibility": "private",
        }

    def values(self, data: dict[Component, Any]) -> dict[str, Any]:
        """Return the values of the request's fields, unchecked.

        Args:
            data: values of the components in `making`.
        """
        values = {name: data[component] for name, component in self.inputs.items()}
        for name, empty in self.kind.deal(()).items():
            texts = chosen(values[name])
            values[name] = next(iter(texts), "") if empty == "" else texts
        replaced = self.kind.replaced if issubclass(self.kind, LatentRequest) and values.get("latent") else ()
        if replaced and "count" in values:
            values["count"] = 1  # of each class: there is one latent
        return {name: value for name, value in values.items() if name not in replaced}

    def show(self, model: Model, request: Any = None) -> dict[Any, Any]:
        """Return the updates that fit the fields to a model, without images.

        Args:
            request: of this tab's kind and for this model, to be shown in the fields; its classes are labels.
        """
        updates: dict[Any, Any] = {self.problem: {}, self.sheet: self.page.results.none(model)}
        for name, value in self.shown(model, request).items():
            if name in self.fields:
                updates[self.fields[name]] = value
        for name, value in self.kind.deal(self.shown_classes(model, request)).items():
            texts = [value] if isinstance(value, str) else list(value)
            updates[self.fields[name]] = picked(model, texts)
        return updates

    def shown(self, model: Model, request: Any) -> dict[str, Any]:
        """Return the values of the other fields, or the updates to them, by name."""
        if request is None:
            return {"latent": gr.update(value="", visible=False)} if self.seed_or_latent else {}
        shown = {name: value for name, value in vars(request).items() if not isinstance(value, tuple)}
        shown |= {name: str(shown[name]) for name in self.seeds}
        if self.seed_or_latent:
            shown["latent"] = gr.update(value=request.latent, visible=bool(request.latent))
        return shown

    def shown_classes(self, model: Model, request: Request | None) -> list[str]:
        """Return the request's classes, or a few to begin with, evenly spaced, as text."""
        if request is not None:
            return list(request.class_texts)
        return [class_text(model.config, label) for label in spaced(model.config.num_classes, self.first)]

    def visitor(self, http_request: gr.Request) -> Visitor:
        """Return whose work it is: what one tab of the page makes ends when it makes something else."""
        visitor = Visitor.of(http_request)
        return visitor._replace(session=f"{visitor.session} {self.kind.tab}")

    def stop_making(self, http_request: gr.Request) -> None:
        """Stop what this tab is making for a visitor."""
        self.page.service.cancel(self.visitor(http_request))

    def drop(self, http_request: gr.Request) -> None:
        """Stop it, and let its sheet hear no more of it."""
        self._attempts.pop(self.visitor(http_request), None)
        self.stop_making(http_request)

    async def _make(self, data: dict[Component, Any], http_request: gr.Request) -> AsyncIterator[dict[Component, Any]]:
        visitor = self.visitor(http_request)
        self.page.service.cancel(visitor)
        attempt = self._attempts[visitor] = object()
        try:
            request = self.kind.parse(**self.values(data))
            async for value in self.page.results.values(request, visitor):
                yield {self.sheet: value, self.problem: {}}
        except InvalidRequest as error:
            ids = {name: str(field.elem_id) for name, field in self.inputs.items()}
            yield {self.sheet: {"state": "failed"}, self.problem: refusal(error, ids)}
        except CancelledError:
            if self._attempts.get(visitor) is attempt:  # or another has begun, whose images stand there
                yield {self.sheet: {"state": "failed", "status": "Stopped."}}
        finally:
            if self._attempts.get(visitor) is attempt:
                del self._attempts[visitor]
