"""What all tabs share: the service, where files go, and how a visitor sees errors."""

import html
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from app.files import write_result
from app.limits import LIMITS, CancelledError, InvalidRequest
from app.requests.links import AnyRequest
from app.service import Service
from app.tabs.panel import Panel

GROUP = "images"  # Gradio's concurrency_id: whatever needs the device waits in one queue
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


@dataclass
class Page:
    """The parts of the page that every tab needs."""

    service: Service
    model_box: gr.Dropdown
    revision_box: gr.Textbox

    def make(
        self, kind: type[AnyRequest], panel: Panel, http_request: gr.Request, progress: gr.Progress, **values: Any
    ) -> dict[Any, Any]:
        """Make what a tab's fields ask for, and return the updates that show it.

        Args:
            kind: class of the request.
            panel: where the result goes.
            http_request: says whose work it is.
            values: of the request's fields, unchecked.
        """
        started = time.perf_counter()

        def advance(done: int, total: int) -> None:
            progress((done, total), desc="Making images", unit="images")

        with friendly():
            request = kind.parse(**values)
            progress(0, desc="Opening the model")
            try:
                result = self.service.make(request, visitor=http_request.session_hash or "", progress=advance)
            except CancelledError:
                return panel.stopped()
            files = write_result(result, results_folder())
        return panel.show(result, files, time.perf_counter() - started)

    def event(self, inputs: list[Any], panel: Panel) -> dict[str, Any]:
        """Return what every event that makes images is declared with."""
        return {
            "inputs": inputs,
            "outputs": panel.outputs,
            "concurrency_id": GROUP,
            "concurrency_limit": LIMITS.requests_at_once,
            "show_progress_on": panel.gallery,
            "api_visibility": "private",
        }

    def action_buttons(self, tab: str, label: str) -> gr.Button:
        """Add the button that starts a tab's work, which is returned, and the one that stops it."""
        with gr.Row(elem_classes="actions"):
            run = gr.Button(label, variant="primary", elem_id=f"{tab}-run", scale=3, min_width=140)
            stop = gr.Button("Stop", variant="secondary", elem_id=f"{tab}-stop", scale=1, min_width=90)
        # No limit on concurrency, and not GROUP's queue: it would wait there for what it is to stop.
        stop.click(self._stop, None, None, concurrency_limit=None, show_progress="hidden", api_visibility="private")
        return run

    def _stop(self, http_request: gr.Request) -> None:
        if not self.service.cancel(http_request.session_hash or ""):
            gr.Info("Nothing is being made.", duration=3)


def results_folder() -> Path:
    """Return where results are written: below the folder from which Gradio serves files."""
    return Path(get_upload_folder()) / "results"
