"""Components of the page's own, drawn by the scripts in `static/js`; their values are plain JSON.

They are functions, not subclasses of `gr.HTML`: beside the module of a subclass Gradio writes a file of type hints.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gradio as gr

from app.limits import LIMITS, InvalidRequest
from app.models import Model
from app.service import Service
from sngan_cond.classes import class_text

Find = Callable[[Any], Awaitable[dict[str, Any]]]


def widget(name: str, arguments: str, *, data: dict[str, Any] | None = None, **options: Any) -> gr.HTML:
    """Add an element that a function of `window.sngan` fills.

    Args:
        name: of that function, and of the element's class.
        arguments: of the function, after the element, as script.
        data: attributes of the element, by name.
        options: of `gr.HTML`.
    """
    attributes = "".join(f' data-{key}="{value}"' for key, value in (data or {}).items())
    return gr.HTML(
        html_template=f'<div class="{name}"{attributes}></div>',
        js_on_load=f"window.sngan.{name}(element, {arguments})",
        apply_default_css=False,
        **options,
    )


def sheet(tab: str) -> gr.HTML:
    """Add what shows a result; its values are those of `Results`."""
    return widget("sheet", "props, watch", value={}, elem_id=f"{tab}-sheet")


def problem(tab: str) -> gr.HTML:
    """Add the line that says what is wrong, beside the fields; its values are those of `refusal`."""
    return widget("problem", "props, watch", value={}, elem_id=f"{tab}-problem")


def refusal(error: InvalidRequest, ids: dict[str, str]) -> dict[str, str]:
    """Return the value of a `problem` that tells a refusal.

    Args:
        ids: of the elements of fields, by the fields' names.
    """
    return {"text": str(error), "field": ids.get(error.field, "")}


def picker(label: str, elem_id: str, *, find: Find, limit: int = 1, weighted: bool = False) -> gr.HTML:
    """Add a field for classes, found as one types; its values are those of `picked`.

    Args:
        find: what `finder` returns.
        limit: how many classes at most.
        weighted: whether each has a weight, 0 to 1.
    """
    return widget(
        "picker",
        "props, watch, server",
        data={"label": label, "limit": limit, "weighted": "yes" if weighted else ""},
        value={"chosen": []},
        server_functions=[find],
        elem_id=elem_id,
        elem_classes="picker-box",
        label=label,
    )


def picked(model: Model, classes: Iterable[str], weights: Iterable[float] = ()) -> dict[str, Any]:
    """Return the value of a `picker` that shows classes, as requests write them; without classes it is hidden."""
    texts = [text for text in classes if text]
    names = {text: model.called(text) for text in texts}
    return {"chosen": texts, "weights": list(weights), "names": names, "hidden": not model.config.num_classes}


def chosen(value: Any, key: str = "chosen") -> list[Any]:
    """Return what a visitor chose in a `picker`: the classes or, with the key "weights", their weights."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def truncation(tab: str) -> gr.HTML:
    """Add a slider for the threshold, with none at its right end; its value is a number or None."""
    return widget("truncation", "props, watch", value=None, elem_id=f"{tab}-truncation", elem_classes="truncation-box")


def overview(find: Find) -> gr.HTML:
    """Add what shows one image of every class; its values are those of `listed`."""
    return widget("classes", "props, watch, server", value={}, elem_id="classes-overview", server_functions=[find])


def listed(model: Model) -> dict[str, Any]:
    """Return the value of an `overview` of a model's classes."""
    classes = [
        {"text": class_text(model.config, label), "name": model.called(label), "index": label}
        for label in range(min(model.config.num_classes, LIMITS.listed_classes))
    ]
    return {"classes": classes, "total": model.config.num_classes, "px": model.config.resolution}


def shelf() -> gr.HTML:
    """Add the results of this visit and the favourites; its event "go" carries a link from anywhere on the page."""
    return widget("shelf", "(data) => trigger('go', data)", elem_id="shelf")


def finder(service: Service) -> Find:
    """Return the function by which pickers find classes."""

    # Two threads for all visitors: looking for a misspelt word takes a tenth of a second of Python.
    pool = ThreadPoolExecutor(2, "find")

    async def find(asked: Any) -> dict[str, Any]:
        return await asyncio.get_running_loop().run_in_executor(pool, look, asked)

    def look(asked: Any) -> dict[str, Any]:
        asked = asked if isinstance(asked, dict) else {}
        try:
            name, _, revision = str(asked.get("model") or "").partition("@")
            model = service.models.opened(name, revision)  # opening takes long, and has its place elsewhere
            if model is None:
                return {"problem": "this model is not open any more: choose it again"}
            found = service.classes(model, asked.get("query"), asked.get("limit") or 40)
        except InvalidRequest as error:
            return {"problem": str(error)}
        return {"classes": [entry | {"text": class_text(model.config, entry["index"])} for entry in found]}

    return find
