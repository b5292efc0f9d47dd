"""The page as it is built: labels, endpoints, and text that cannot become markup."""

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio.utils import get_function_description
from starlette.datastructures import QueryParams

from app import limits
from app.api import IMAGE_ENDPOINTS, Values, endpoints
from app.requests.base import Request, asked
from app.requests.origin import Origin
from app.requests.sample import SampleRequest
from app.requests.walk import WalkRequest
from app.results import Results
from app.service import Service
from app.serving import STATIC
from app.summary import facts_html, summary_html
from app.tabs.fields import seed_field
from app.tabs.tab import Tab
from app.tabs.widgets import picker
from app.turns import Visitor
from app.ui import TABS, Ui, build_demo
from app.web import Web, launch_options
from sngan_cond import Generator
from sngan_cond.ancestry import source_name
from sngan_cond.inputs import sample_inputs


@pytest.fixture(scope="module")
def demo(service: Service) -> gr.Blocks:
    """The page, made inside a running event loop: outside of one Gradio leaves loops of its own open."""

    async def built() -> gr.Blocks:
        return build_demo(service)[0]

    return asyncio.run(built())


@pytest.fixture(scope="module")
def config(demo: gr.Blocks) -> dict[str, Any]:
    return dict(demo.get_config_file())


@pytest.fixture(scope="module")
def ui(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Ui:
    async def built() -> Ui:
        with gr.Blocks():
            return Ui(service, Results(service, tmp_path_factory.mktemp("results")))

    return asyncio.run(built())


def test_every_field_and_button_has_a_name(config: dict[str, Any]) -> None:
    for component in config["components"]:
        props = component["props"]
        if component["type"] in ("textbox", "slider", "dropdown", "checkbox", "gallery", "image", "code"):
            assert props["label"], component
        if component["type"] in ("button", "downloadbutton"):
            assert props.get("value") or props.get("label"), component


def test_ids_are_unique(config: dict[str, Any]) -> None:
    ids = [component["props"].get("elem_id") for component in config["components"]]
    given = [elem_id for elem_id in ids if elem_id]
    assert len(given) == len(set(given))
    assert {"sample-run", "morph-run", "mixture-run", "walk-run", "model", "sample-classes"} <= set(given)


def test_only_the_named_endpoints_are_public(config: dict[str, Any]) -> None:
    public = {entry["api_name"] for entry in config["dependencies"] if entry["api_visibility"] == "public"}
    assert public == {*(kind.tab for kind in IMAGE_ENDPOINTS.values()), "classes", "models"}
    assert {"sample", "morph", "mixture", "walk", "vary", "cross"} <= public
    assert {tab.kind for tab in TABS} <= set(IMAGE_ENDPOINTS.values())


def test_the_page_asks_nothing_of_other_addresses(service: Service, tmp_path: Path) -> None:
    options = launch_options(Web(service, Results(service, tmp_path), []))
    assert not options["theme"]._stylesheets
    for path in (*options["css_paths"], *(STATIC / "js").iterdir()):
        text = path.read_text()
        assert "http" not in text
        assert "@import" not in text
    assert options["allowed_paths"] == []


def test_a_visitor_who_leaves_leaves_no_work_behind(demo: gr.Blocks, ui: Ui, monkeypatch: pytest.MonkeyPatch) -> None:
    (leaving,) = [entry for entry in demo.fns.values() if "unload" in {event for _, event in entry.targets}]
    assert leaving.fn.__func__ is Ui._leave
    left: list[Visitor] = []
    monkeypatch.setattr(ui.service, "cancel", left.append)
    ui._leave(SimpleNamespace(client=None, session_hash="me"))  # type: ignore[arg-type]  # all that is looked at
    assert left == [Visitor("", "me"), *(Visitor("", f"me {tab.kind.tab}") for tab in TABS)]


@pytest.mark.parametrize("truncation", [None, 0.4, 2.75])
def test_a_link_to_a_walk_fills_its_fields(ui: Ui, service: Service, truncation: float | None) -> None:
    """With no two values alike."""
    request = WalkRequest(class_="1", seed=3, to_seed=9, steps=5, truncation=truncation)
    walk = ui.parts["walk"]
    updates = walk.show(service.open(), request)
    shown = {name: updates[component] for name, component in walk.fields.items()}
    assert (shown["to_seed"], shown["steps"], shown["seed"], shown["truncation"]) == ("9", 5, "3", truncation)
    assert shown["class_"]["names"] == {"1": "crane (n00000002)"}
    assert shown["latent"] == {"__type__": "update", "value": "", "visible": False}
    data = {component: shown.get(name, "") for name, component in walk.inputs.items()} | {walk.fields["latent"]: ""}
    assert WalkRequest.parse(**walk.values(data)) == request


def test_what_stands_in_the_fields_of_a_latent_is_what_is_made(ui: Ui, service: Service) -> None:
    """The seed, truncation and number beside it mean nothing then, and are not refused."""
    sample = ui.parts["sample"]
    request = SampleRequest(classes=("0", "2"), count=1, latent="7:3~0.2~11:2")
    shown = sample.show(service.open(), request)
    assert shown[sample.fields["latent"]]["visible"]
    data = {component: shown.get(component, "") for component in sample.inputs.values()}
    data |= {sample.fields["latent"]: request.latent, sample.fields["seed"]: "5", sample.fields["truncation"]: 0.3}
    data |= {sample.fields["count"]: 8}
    assert SampleRequest.parse(**sample.values(data)) == request


@dataclass(frozen=True, kw_only=True)
class TwinsRequest(Request):
    tab = "twins"
    trigger_keys = ("class",)
    draw = staticmethod(partial(sample_inputs, truncation=None))

    class_: str = asked("class", partial(limits.text, "class"), "", names_classes=True)
    count: int = asked("n", limits.count, 2, recipe="twins")

    def class_arguments(self, labels: list[int]) -> dict[str, Any]:
        return {"classes": labels * self.count}

    def image_origins(self, G: Generator, labels: list[Any]) -> list[Origin]:
        return [Origin(source_name(self.seed, row), str(labels[0])) for row in range(self.count)]


class TwinsTab(Tab):
    kind = TwinsRequest
    button = "Twin"
    first = 1

    def choice(self) -> dict[str, Any]:
        return {"class_": picker("Class", "twins-class", find=self.page.find)}

    def settings(self) -> dict[str, Any]:
        count = gr.Slider(1, 4, value=2, label="Images")
        return {"count": count, "seed": seed_field("Seed", "0", "twins-seed")}


def twins(class_name: str, count: int = 2) -> Values:
    """Make images of a class.

    Args:
        class_name: A class.
        count: Images.

    Returns:
        Grid.
    """
    return {"class_": class_name, "count": count}


def called_as_gradio_does(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    answer = function(*arguments, **named)
    return asyncio.run(answer) if inspect.iscoroutine(answer) else answer


def test_a_fifth_tab_is_a_request_a_tab_an_endpoint_and_their_entries(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without truncation, which therefore neither its fields nor its recipe nor its endpoint has."""
    monkeypatch.setattr("app.ui.TABS", (*TABS, TwinsTab))
    monkeypatch.setitem(IMAGE_ENDPOINTS, twins, TwinsRequest)

    async def built() -> tuple[Ui, gr.Blocks]:
        with gr.Blocks() as demo:
            ui = Ui(service, Results(service, tmp_path))
            ui.connect(demo)
        return ui, demo

    ui, demo = asyncio.run(built())
    tab = ui.parts["twins"]
    result = service.make(TwinsRequest.parse(class_="tench", count=3, seed=5))
    assert (len(result.images), result.recipe["twins"], result.recipe["command"]) == (3, 3, None)
    link = QueryParams(result.recipe["link"].removeprefix("?"))
    updates = ui._arrive(SimpleNamespace(query_params=link))  # type: ignore[arg-type]  # all of a request that is read
    assert updates[ui.run] == "twins"
    assert updates[tab.fields["class_"]]["chosen"] == ["0"]
    assert (updates[tab.fields["count"]], updates[tab.fields["seed"]]) == (3, "5")
    data = {**dict.fromkeys(tab.inputs.values(), ""), tab.fields["class_"]: {"chosen": ["0"]}}
    data |= {tab.fields["seed"]: "5"}
    assert tab.values(data) == {"class_": "0", "count": "", "seed": "5", "model": "", "revision": ""}
    assert "truncation" not in result.recipe["python"]
    assert "truncation" not in result.recipe
    (endpoint,) = [endpoint for endpoint in endpoints(service) if endpoint.__name__ == "twins"]
    assert list(inspect.signature(endpoint).parameters) == ["class_name", "count", "model", "revision", "http_request"]
    assert "truncation" not in get_function_description(endpoint)[1]
    assert len(called_as_gradio_does(endpoint, "tench", count=3)[1]) == 3
    assert "twins-run" in {component["props"].get("elem_id") for component in demo.get_config_file()["components"]}


@pytest.mark.parametrize(
    ("name", "right", "called"),
    [
        (
            "sample",
            {"classes": ["0"]},
            {"classes": "class", "count": "number of images", "truncation": "truncation", "latent": "latent"},
        ),
        (
            "morph",
            {"from_class": "0", "to_class": "1"},
            {"from_class": "class “from”", "to_class": "class “to”", "steps": "steps", "latent": "latent"},
        ),
        ("mixture", {"classes": ["0"], "weights": [1]}, {"classes": "class", "seed": "seed", "latent": "latent"}),
        ("walk", {"class_name": "0"}, {"from_seed": "seed", "to_seed": "second seed", "latent": "latent"}),
        (
            "vary",
            {"class_name": "0"},
            {
                "latent": "latent",
                "class_name": "class",
                "radius": "radius",
                "count": "number of images",
                "seed": "seed",
            },
        ),
        (
            "cross",
            {"class_name": "0", "to_class": "1"},
            {"latent": "latent", "to_latent": "second latent", "to_class": "second class", "steps": "steps"},
        ),
        ("classes", {}, {"query": "query", "limit": "limit"}),
    ],
)
def test_the_arguments_of_endpoints_reach_their_checks(
    service: Service, name: str, right: dict[str, Any], called: dict[str, str]
) -> None:
    (endpoint,) = [endpoint for endpoint in endpoints(service) if endpoint.__name__ == name]
    for argument, field in (called | {"model": "model", "revision": "revision"}).items():
        with pytest.raises(gr.Error) as error:
            called_as_gradio_does(endpoint, **{**right, argument: "x" * 1_000_000})
        assert error.value.message.startswith(f"{field} is 'xxx")


def test_endpoints_make_four_images_or_the_one_of_a_latent(service: Service) -> None:
    named = {endpoint.__name__: endpoint for endpoint in endpoints(service)}
    for name, arguments in (("sample", {"classes": ["0"]}), ("mixture", {"classes": ["0", "2"], "weights": [1, 2]})):
        for latent, images in (("", 4), ("7:3", 1)):
            assert len(asyncio.run(named[name](**arguments, latent=latent))[1]) == images
        assert len(asyncio.run(named[name](**arguments, count=2))[1]) == 2
    parameters = list(inspect.signature(named["vary"]).parameters)
    assert parameters == ["latent", "class_name", "radius", "count", "seed", "model", "revision", "http_request"]


def test_the_endpoint_of_classes_looks_at_the_revision(service: Service) -> None:
    (classes,) = [endpoint for endpoint in endpoints(service) if endpoint.__name__ == "classes"]
    assert [entry["index"] for entry in classes(query="crane", model="tiny")] == [1, 3]
    with pytest.raises(gr.Error, match="revision is 'v1'"):
        classes(query="crane", model="tiny", revision="v1")


def test_the_summary_is_text() -> None:
    shown = summary_html([("<b>x</b>", "</dd><script>alert(1)</script>")])
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert "&lt;img" in facts_html(None, problem="<img src=x onerror=alert(1)>")
