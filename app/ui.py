"""The page: `build_demo` puts the parts together."""

import html
from typing import Any

import gradio as gr

from app.api import add_api
from app.limits import LIMITS, InvalidRequest
from app.models import Model
from app.requests.base import AnyRequest, MixtureRequest, MorphRequest, SampleRequest
from app.requests.links import ask_from_query, labels_of
from app.service import Service
from app.summary import facts_html, facts_of
from app.tabs.about import AboutTab
from app.tabs.mixture import MixtureTab
from app.tabs.morph import MorphTab
from app.tabs.page import Page, friendly
from app.tabs.sample import SampleTab
from app.tabs.walk import WalkTab

TITLE = "sngan-cond"
_HEADER = """<header class="masthead">
  <h1>Pictures by class</h1>
  <p>A class-conditional GAN with spectral normalisation. Choose classes, roll the seed, share the link.</p>
</header>"""
# A link shows its pictures at once: by the button of its tab, which appears a moment after the tab is chosen.
_PRESS = """(tab) => {
  const press = (tries) => {
    const button = document.getElementById(`${tab}-run`);
    if (button) button.click();
    else if (tries) setTimeout(() => press(tries - 1), 100);
  };
  if (tab) press(50);
}"""


class Ui:
    """All components and what connects them; made inside a `gr.Blocks`.

    Args:
        service: that does the work.
    """

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
            self.facts = gr.HTML(facts_html([]), elem_id="facts")
        self.run = gr.Textbox("", visible="hidden", label="Tab that a link sets going", elem_id="run")
        page = Page(service, self.model_box, self.revision_box)
        with gr.Tabs(elem_id="tabs") as self.tabs:
            with gr.Tab("Sample", id="sample"):
                self.sample = SampleTab(page)
            with gr.Tab("Morph", id="morph"):
                self.morph = MorphTab(page)
            with gr.Tab("Mixture", id="mixture"):
                self.mixture = MixtureTab(page)
            with gr.Tab("Walk", id="walk"):
                self.walk = WalkTab(page)
            with gr.Tab("About", id="about"):
                self.about = AboutTab()

    @property
    def parts(self) -> tuple[SampleTab, MorphTab, MixtureTab, WalkTab, AboutTab]:
        """The tabs."""
        return self.sample, self.morph, self.mixture, self.walk, self.about

    def connect(self, demo: gr.Blocks) -> None:
        """Add the events that reach across tabs.

        Args:
            demo: the Blocks that this was made in.
        """
        outputs = [self.model_box, self.revision_box, self.facts, self.tabs]
        outputs += [self.sample.classes, self.sample.surprise, self.sample.count, *self.sample.latents.inputs]
        outputs += [self.morph.from_class, self.morph.to_class, self.morph.steps, *self.morph.latents.inputs]
        outputs += [self.mixture.classes, self.mixture.count, self.mixture.before, *self.mixture.sliders]
        outputs += [*self.mixture.latents.inputs, self.walk.class_, self.walk.to_seed, self.walk.steps]
        outputs += [*self.walk.latents.inputs, self.about.card]
        outputs += [self.run]
        arrived = demo.load(
            self._arrive, None, outputs, show_progress="hidden", concurrency_limit=8, api_visibility="private"
        )
        arrived.success(None, self.run, None, js=_PRESS, api_visibility="private")
        gr.on(
            [self.open_button.click, self.revision_box.submit, self.model_box.input],
            self._open,
            [self.model_box, self.revision_box],
            outputs,
            show_progress_on=self.facts,
            concurrency_limit=4,
            api_visibility="private",
        )
        demo.unload(self._leave)

    def _open(self, name: str, revision: str) -> dict[Any, Any]:
        with friendly():
            return self._show_model(self.service.open(name, revision, again=True))

    def _show_model(self, model: Model) -> dict[Any, Any]:
        updates: dict[Any, Any] = {self.facts: facts_html(facts_of(model))}
        for part in self.parts:
            updates |= part.blank(model)
        return updates

    def _arrive(self, request: gr.Request) -> dict[Any, Any]:
        """Show the first model, or what a link asks for, and set its work going."""
        query = {key: request.query_params.getlist(key) for key in request.query_params}
        try:
            ask = ask_from_query(query)
            name, revision = (ask.model, ask.revision) if ask else (_first(query, "model"), _first(query, "revision"))
            model = self.service.open(name, revision)
            updates = self._show_model(model) | {self.model_box: model.name, self.revision_box: revision}
            return updates if ask is None else updates | self._restore(ask, model)
        except InvalidRequest as error:
            gr.Warning(html.escape(str(error), quote=False), title="This link does not work", duration=20)
        return self._show_first()

    def _show_first(self) -> dict[Any, Any]:
        try:
            return self._show_model(self.service.open())
        except InvalidRequest as error:
            return {self.facts: facts_html([("Not opened", str(error))])}

    def _restore(self, ask: AnyRequest, model: Model) -> dict[Any, Any]:
        if isinstance(ask, SampleRequest):
            fields = self.sample.restore(ask, model, _labels(model, ask.classes))
        elif isinstance(ask, MorphRequest):
            fields = self.morph.restore(ask, model, _labels(model, (ask.from_class, ask.to_class)))
        elif isinstance(ask, MixtureRequest):
            fields = self.mixture.restore(ask, model, _labels(model, ask.classes))
        else:
            fields = self.walk.restore(ask, model, _labels(model, (ask.class_,) if ask.class_ else ()))
        return {self.tabs: gr.Tabs(selected=ask.tab), self.run: ask.tab, **fields}

    def _leave(self, request: gr.Request) -> None:
        self.service.cancel(request.session_hash or "")


def build_demo(service: Service) -> gr.Blocks:
    """Build the page.

    Args:
        service: that does the work.
    Returns:
        The Blocks, with its queue; pass `launch_options()` to `launch`.
    """
    keep = LIMITS.keep_results_s
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(keep // 4, keep), fill_width=False) as demo:
        Ui(service).connect(demo)
        add_api(service)
    demo.queue(max_size=LIMITS.queue, default_concurrency_limit=4)
    return demo


def _first(query: dict[str, list[str]], key: str) -> str:
    return next(iter(query.get(key, [])), "")


def _labels(model: Model, classes: tuple[str, ...]) -> list[str]:
    return [str(label) for label in labels_of(model.G, classes)]
