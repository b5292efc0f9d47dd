"""The page: `build_demo` puts the parts together."""

import html
from typing import Any

import gradio as gr

from app.api import add_api
from app.limits import LIMITS, InvalidRequest
from app.models import Model
from app.requests.base import Query, Request, labels_of, request_of
from app.service import Service
from app.summary import summarise, summary_html
from app.tabs.about import AboutTab
from app.tabs.mixture import MixtureTab
from app.tabs.morph import MorphTab
from app.tabs.sample import SampleTab
from app.tabs.tab import Page, Tab, friendly
from app.tabs.walk import WalkTab

TABS: tuple[type[Tab], ...] = (SampleTab, MorphTab, MixtureTab, WalkTab)
TITLE = "sngan-cond"
_HEADER = """<header class="masthead">
  <h1>Images by class</h1>
  <p>A class-conditional GAN with spectral normalisation. Choose classes, roll the seed, share the link.</p>
</header>"""


class Ui:
    """All components and what connects them; made inside a `gr.Blocks`."""

    def __init__(self, service: Service) -> None:
        self.service = service
        with gr.Row(elem_classes="top"):
            gr.HTML(_HEADER, elem_classes="masthead-box")
            gr.Button("Light / dark", size="sm", elem_id="light-dark", min_width=120, scale=0).click(
                None, None, None, js="() => window.sngan.lightDark()", api_visibility="private"
            )
        with gr.Column(elem_classes="model"):
            with gr.Row(equal_height=True):
                patterns = ", ".join(service.models.patterns)
                self.model_box = gr.Dropdown(
                    service.models.names,
                    value=service.models.names[0],
                    label="Model",
                    info=f"From the list, or a Hub repo like {patterns}" if patterns else None,
                    allow_custom_value=bool(patterns),
                    elem_id="model",
                    scale=5,
                    min_width=220,
                )
                self.revision_box = gr.Textbox(
                    label="Revision",
                    info="Branch, tag or commit" if patterns else None,
                    visible=service.models.has_repos,
                    placeholder="newest",
                    max_lines=1,
                    max_length=LIMITS.text_characters,
                    elem_id="revision",
                    scale=2,
                    min_width=120,
                )
                self.open_button = gr.Button("Open", elem_id="open", scale=1, min_width=90)
            self.summary = gr.HTML(summary_html([]), elem_id="summary")
        self.run = gr.Textbox("", visible="hidden", label="Tab that a link starts", elem_id="run")
        page = Page(service, self.model_box, self.revision_box)
        self.parts: dict[str, Tab | AboutTab] = {}  # by the names that requests and links give them
        with gr.Tabs(elem_id="tabs") as self.tabs:
            for part in TABS:
                with gr.Tab(part.kind.tab.capitalize(), id=part.kind.tab):
                    self.parts[part.kind.tab] = part(page)
            with gr.Tab("About", id="about"):
                self.parts["about"] = AboutTab()

    def connect(self, demo: gr.Blocks) -> None:
        """Add the events that reach across tabs to the Blocks that this was made in."""
        outputs = [self.model_box, self.revision_box, self.summary, self.tabs, self.run]
        outputs += [component for part in self.parts.values() for component in part.components]
        arrived = demo.load(
            self._arrive, None, outputs, show_progress="hidden", concurrency_limit=8, api_visibility="private"
        )
        arrived.success(None, self.run, None, js="(tab) => window.sngan.press(tab)", api_visibility="private")
        gr.on(
            [self.open_button.click, self.revision_box.submit, self.model_box.input],
            self._open,
            [self.model_box, self.revision_box],
            outputs,
            show_progress_on=self.summary,
            concurrency_limit=4,
            api_visibility="private",
        )
        demo.unload(self._leave)

    def _open(self, name: str, revision: str) -> dict[Any, Any]:
        with friendly():
            return self._show_model(self.service.open(name, revision, again=True))

    def _show_model(self, model: Model, request: Request | None = None) -> dict[Any, Any]:
        updates: dict[Any, Any] = {self.summary: summary_html(summarise(model))}
        if request is not None:
            updates |= {self.tabs: gr.Tabs(selected=request.tab), self.run: request.tab}
        for name, part in self.parts.items():
            updates |= part.show(model, request if request is not None and request.tab == name else None)
        return updates

    def _arrive(self, http_request: gr.Request) -> dict[Any, Any]:
        """Show the first model, or what a link asks for, and start making it."""
        query: Query = {key: http_request.query_params.getlist(key) for key in http_request.query_params}
        try:
            request = request_of(query, [part.kind for part in TABS])
            if request is None:
                name, revision = (query.get(key, [""])[0] for key in ("model", "revision"))
                model = self.service.open(name, revision)
            else:
                revision = request.revision
                model = self.service.open(request.model, revision)
                request = request.with_labels(model.generator, labels_of(model.generator, request.class_texts))
            return self._show_model(model, request) | {self.model_box: model.name, self.revision_box: revision}
        except InvalidRequest as error:
            gr.Warning(html.escape(str(error), quote=False), title="This link does not work", duration=20)
        try:
            return self._show_model(self.service.open())
        except InvalidRequest as error:
            return {self.summary: summary_html([("Not opened", str(error))])}

    def _leave(self, http_request: gr.Request) -> None:
        self.service.cancel(http_request.session_hash or "")


def build_demo(service: Service) -> gr.Blocks:
    """Build the page, with its queue; pass `launch_options()` to `launch`."""
    keep = LIMITS.keep_results_s
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(keep // 4, keep), fill_width=False) as demo:
        Ui(service).connect(demo)
        add_api(service)
    demo.queue(max_size=None, default_concurrency_limit=None)  # app/turns.py says who comes next
    return demo
