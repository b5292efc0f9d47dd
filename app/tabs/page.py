"""What all tabs share: the service, where files go, and how errors are told."""

import html
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from app.files import write_result
from app.limits import LIMITS, CancelledError, InvalidRequest
from app.requests.base import AnyRequest
from app.service import Service
from app.tabs.panel import Panel

GROUP = "pictures"  # requests that share the device wait in one line
PROGRESS = gr.Progress()  # Gradio finds the parameter by this default


@contextmanager
def friendly() -> Iterator[None]:
    """Tell a visitor's mistake as the page and the API do: one sentence, no traceback, markup harmless."""
    try:
        yield
    except InvalidRequest as error:
        raise gr.Error(
            html.escape(str(error), quote=False), title="That did not work", print_exception=False
        ) from error


@dataclass
class Page:
    """The parts of the page that every tab looks at.

    Args:
        service: that does the work.
        model_box: which model.
        revision_box: which revision of it.
    """

    service: Service
    model_box: gr.Dropdown
    revision_box: gr.Textbox

    def make(
        self, parse: Callable[[], AnyRequest], panel: Panel, request: gr.Request, progress: gr.Progress
    ) -> dict[Any, Any]:
        """Make what a tab's fields ask for, and show it.

        Args:
            parse: checks the fields.
            panel: of the tab.
            request: of the visitor.
            progress: to show.
        Returns:
            Updates of the panel.
        """
        started = time.perf_counter()

        def advance(done: int, total: int) -> None:
            progress((done, total), desc="Making pictures", unit="pictures")

        with friendly():
            ask = parse()
            progress(0, desc="Opening the model")
            try:
                result = self.service.make(ask, visitor=request.session_hash or "", progress=advance)
            except CancelledError:
                return panel.stopped()
            files = write_result(result, results_folder())
        return panel.show(result, files, time.perf_counter() - started)

    def event(self, inputs: list[Any], panel: Panel) -> dict[str, Any]:
        """Return what every event that makes pictures is declared with.

        Args:
            inputs: fields of the tab.
            panel: of the tab.
        """
        return {
            "inputs": inputs,
            "outputs": panel.outputs,
            "concurrency_id": GROUP,
            "concurrency_limit": LIMITS.requests_at_once,
            "show_progress_on": panel.gallery,
            "api_visibility": "private",
        }

    def stop_button(self, panel: Panel, elem_id: str) -> gr.Button:
        """Add the button that stops a tab's work.

        Args:
            panel: of the tab.
            elem_id: of the button.
        """
        button = gr.Button("Stop", variant="secondary", elem_id=elem_id, min_width=90, scale=1)
        button.click(self._stop, None, None, concurrency_limit=None, show_progress="hidden", api_visibility="private")
        return button

    def _stop(self, request: gr.Request) -> None:
        if not self.service.cancel(request.session_hash or ""):
            gr.Info("Nothing is being made.", duration=3)


def results_folder() -> Path:
    """Return where results lie: below the folder that Gradio serves files from."""
    return Path(get_upload_folder()) / "results"
