"""The page: `build_demo` puts the parts together."""

import contextlib
from typing import Any
from urllib.parse import parse_qs

import gradio as gr

from app.api import add_api
from app.engine import on_zero_gpu
from app.files import results_root
from app.limits import LIMITS, InvalidRequest
from app.models import Model
from app.recipe import weights_differ
from app.requests.base import Query, Request, request_of
from app.results import Results
from app.service import Service
from app.sessions import keep_waiting_sessions
from app.summary import facts_html
from app.tabs.about import AboutTab
from app.tabs.classes import ClassesTab
from app.tabs.cross import CrossTab
from app.tabs.mixture import MixtureTab
from app.tabs.morph import MorphTab
from app.tabs.sample import SampleTab
from app.tabs.tab import Page, Tab
from app.tabs.vary import VaryTab
from app.tabs.walk import WalkTab
from app.tabs.widgets import finder, shelf
from app.turns import Visitor
from app.web import Web

TABS: tuple[type[Tab], ...] = (SampleTab, VaryTab, CrossTab, MorphTab, WalkTab, MixtureTab)
NEED_CLASSES = ("morph", "mixture", "classes")  # tabs that mean nothing to a model without classes
TITLE = "sngan-cond"


class Ui:
    """All components and what connects them; made inside a `gr.Blocks`."""

    def __init__(self, service: Service, results: Results) -> None:
        self.service, self.results = service, results
        models = service.models
        patterns = ", ".join(models.patterns)
        with gr.Row(elem_classes="top"):
            gr.HTML(f"<h1>{TITLE}</h1>", elem_classes="masthead", apply_default_css=False)
            self.model_box = gr.Dropdown(
                models.names,
                value=models.names[0],
                label="Model",
                info=f"From the list, or a Hub repo like {patterns}" if patterns else None,
                allow_custom_value=bool(patterns),
                elem_id="model",
                min_width=160,
            )
            self.revision_box = gr.Textbox(
                label="Revision",
                visible=models.has_repos,
                placeholder="newest",
                max_lines=1,
                max_length=LIMITS.text_characters,
                elem_id="revision",
                min_width=110,
            )
            self.facts = gr.HTML(facts_html(None), elem_id="facts", apply_default_css=False)
            gr.Button("◐", size="sm", elem_id="light-dark", min_width=40, scale=0).click(
                None, None, None, js="() => window.sngan.lightDark()", api_visibility="private"
            )
        self.run = gr.Textbox("", visible="hidden", label="Tab that a link starts", elem_id="run")
        find = finder(service)
        page = Page(service, results, find, self.model_box, self.revision_box)
        self.parts: dict[str, Tab | ClassesTab | AboutTab] = {}  # by the names that requests and links give them
        with gr.Tabs(elem_id="tabs") as self.tabs:
            made = {part.kind.tab: lambda part=part: part(page) for part in TABS}
            for name, make in (made | {"classes": lambda: ClassesTab(find), "about": AboutTab}).items():
                with gr.Tab(name.capitalize(), id=name, elem_id=f"{name}-tab", render_children=True):
                    self.parts[name] = make()
        self.shelf = shelf()

    def connect(self, demo: gr.Blocks) -> None:
        """Add the events that reach across tabs to the Blocks that this was made in."""
        outputs = [self.model_box, self.revision_box, self.facts, self.tabs, self.run]
        outputs += [component for part in self.parts.values() for component in part.components]
        common: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        begun = [
            demo.load(self._arrive, None, outputs, **common),
            gr.on(
                [self.revision_box.submit, self.model_box.input],
                self._open,
                [self.model_box, self.revision_box, self.run],
                outputs,
                js="(model, revision) => [model, revision, window.sngan.current()]",
                **common,
            ),
            self.shelf.go(self._go, None, outputs, **common),
        ]
        for event in begun:
            event.success(None, self.run, None, js="(tab) => window.sngan.press(tab)", api_visibility="private")
        demo.unload(self._leave)

    def _open(self, name: str, revision: str, tab: str, http_request: gr.Request) -> dict[Any, Any]:
        """Open another model: what is being made of the old one ends, and its images go."""
        self._leave(http_request)
        try:
            return self._staying(tab, self._shown(self.service.open(name, revision, again=bool(revision)), None, tab))
        except InvalidRequest as error:
            return {self.facts: facts_html(None, problem=str(error)), self.run: ""}

    def _arrive(self, http_request: gr.Request) -> dict[Any, Any]:
        """Show what the address asks for, or the first model."""
        query = {key: http_request.query_params.getlist(key) for key in http_request.query_params}
        return self._staying(TABS[0].kind.tab, self._followed(query))

    def _staying(self, tab: str, updates: dict[Any, Any]) -> dict[Any, Any]:
        """Leave out the choice of the tab that is shown: a visitor who has gone on to another would be taken back."""
        if self.tabs in updates and updates[self.tabs].selected == tab:
            del updates[self.tabs]
        return updates

    def _go(self, event: gr.EventData) -> dict[Any, Any]:
        """Show what a link asks for that was followed within the page."""
        asked = event._data if isinstance(event._data, dict) else {}
        return self._followed(parse_qs(str(asked.get("link", "")).removeprefix("?")), asked.get("model"))

    def _followed(self, query: Query, open_now: Any = None) -> dict[Any, Any]:
        """Return the updates that show what a link asks for.

        Args:
            open_now: key of the model that the page shows; if it is the link's, other tabs stay as they are.
        """
        name, revision = (query.get(key, [""])[0] for key in ("model", "revision"))
        tab = next(iter(query.get("tab", [])), "sample")
        try:
            request = request_of(query, [part.kind for part in TABS])
            model = self.service.open(name, revision)
            if request is not None:
                request = request.with_labels(model.generator, request.labels(model.generator))
            updates = self._shown(model, request, tab, only=model.key == open_now)
            differ = request and weights_differ(request, model)
            if differ:
                updates[self.facts] = facts_html(model, problem=differ)
            return updates | {self.model_box: model.name, self.revision_box: revision}
        except InvalidRequest as error:
            problem = f"This link does not work: {error}"
        return self._without_request(name, revision, tab, problem, open_now)

    def _without_request(self, name: str, revision: str, tab: str, problem: str, open_now: Any) -> dict[Any, Any]:
        """Return the updates for a link that asks for what cannot be: its model and tab, as far as there are these."""
        if open_now:  # what is shown stays
            name, _, revision = str(open_now).partition("@")
            with contextlib.suppress(InvalidRequest):
                return {self.facts: facts_html(self.service.open(name, revision), problem=problem), self.run: ""}
        for wanted in ((name, revision), ("", "")):
            try:
                model = self.service.open(*wanted)
            except InvalidRequest as error:
                last = str(error)
                continue
            told = {self.facts: facts_html(model, problem=problem), self.model_box: model.name}
            return self._shown(model, None, tab) | told | {self.revision_box: wanted[1]}
        return {self.facts: facts_html(None, problem=last)}

    def _shown(
        self, model: Model, request: Request | None = None, tab: str = "sample", only: bool = False
    ) -> dict[Any, Any]:
        """Return the updates that show a model, and the images of a request or, without one, of the tab's first.

        Args:
            only: whether other tabs stay as they are.
        """
        if tab not in self.parts or (request is None and not model.config.num_classes and tab in NEED_CLASSES):
            tab = "sample"
        updates: dict[Any, Any] = {self.facts: facts_html(model), self.tabs: gr.Tabs(selected=tab)}
        for name, part in self.parts.items():
            if only and name != tab:
                continue
            updates |= part.show(model, request if request is not None and request.tab == name else None)
        part = self.parts[tab]
        if not isinstance(part, Tab):
            return updates | {self.run: ""}
        first = self.service.first_request(model) if request is None and tab == "sample" else request
        kept = None if first is None else self.results.kept(model, first)
        if kept is not None:
            return updates | {part.sheet: kept | {"fresh": True}, self.run: ""}
        return updates | {self.run: tab if request is not None or not on_zero_gpu() else ""}

    def _leave(self, http_request: gr.Request) -> None:
        self.service.cancel(Visitor.of(http_request))  # of a client of the endpoints
        for part in self.parts.values():
            if isinstance(part, Tab):
                part.drop(http_request)


def build_demo(service: Service) -> tuple[gr.Blocks, Web]:
    """Build the page, with its queue, and what is served beside it; pass `launch_options` of that to `launch`."""
    keep = LIMITS.keep_results_s
    results = Results(service, results_root())
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(keep // 4, keep), fill_width=True) as demo:
        Ui(service, results).connect(demo)
        add_api(service)
    demo.queue(max_size=None, default_concurrency_limit=None)
    keep_waiting_sessions(demo)
    return demo, Web(service, results, [part.kind for part in TABS])
