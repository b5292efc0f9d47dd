"""The tab that shows one image of every class."""

from typing import Any

from gradio.components import Component

from app.models import Model
from app.tabs.widgets import Find, listed, overview


class ClassesTab:
    """The classes of the open model; made inside its `gr.Tab`."""

    def __init__(self, find: Find) -> None:
        self.overview = overview(find)

    @property
    def components(self) -> list[Component]:
        """What `show` may change."""
        return [self.overview]

    def show(self, model: Model, request: Any = None) -> dict[Any, Any]:
        """Return the updates that show a model's classes."""
        return {self.overview: listed(model)}
