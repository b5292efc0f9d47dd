"""The right half of a tab: images, downloads, and how to make them again."""

import html
import json
import shlex
from functools import partial
from typing import Any

import gradio as gr

from app.files import ResultFiles
from app.service import Result

SMALL_PX = 64  # images up to this size are enlarged without blur


class Panel:
    """Components that show one result; made inside the layout where they belong.

    Args:
        tab: the elements' ids start with it.
        moves: whether results are morphs or walks, which have an animation.
        hint: shown as long as there are no images.
    """

    def __init__(self, tab: str, *, moves: bool, hint: str) -> None:
        self._moves = moves
        self._hint = hint
        self.status = gr.HTML(_status(hint), elem_id=f"{tab}-status", elem_classes="status")
        self.animation = gr.Image(
            label="Animation",
            type="filepath",
            interactive=False,
            visible=False,
            buttons=["download", "fullscreen"],
            elem_id=f"{tab}-animation",
            elem_classes="animation",
        )
        self.gallery = gr.Gallery(
            label="Images",
            show_label=False,
            format="png",
            columns=4,
            object_fit="contain",
            height="auto",
            interactive=False,
            buttons=["download", "fullscreen"],
            elem_id=f"{tab}-gallery",
            elem_classes="images",
        )
        small: dict[str, Any] = {"interactive": False, "size": "sm", "min_width": 130}
        with gr.Row(elem_classes="downloads"):
            self.grid = gr.DownloadButton(f"Download {'strip' if moves else 'grid'}", elem_id=f"{tab}-grid", **small)
            self.bundle = gr.DownloadButton("Download all (zip)", elem_id=f"{tab}-bundle", **small)
            self.copy = gr.Button("Copy link", elem_id=f"{tab}-copy", **small)
        self.link = gr.Textbox(visible="hidden", label="Link to these images", elem_id=f"{tab}-link")
        code = partial(gr.Code, interactive=False, lines=1, wrap_lines=True)
        with gr.Accordion("How to make these again", open=False, visible=False) as self.recipe_box:
            self.command = code(label="In a shell", language="shell", visible=False)
            self.python = code(label="In Python", language="python")
            self.recipe = code(label="recipe.json, as in the zip", language="json", max_lines=20)
        self.copy.click(None, self.link, None, js="(query) => window.sngan.copy(query)", api_visibility="private")
        self.link.change(None, self.link, None, js="(query) => window.sngan.made(query)", api_visibility="private")

    @property
    def components(self) -> list[Any]:
        """What a result changes."""
        components: list[Any] = [self.status, self.animation, self.gallery, self.grid, self.bundle, self.copy]
        return [*components, self.link, self.recipe_box, self.command, self.python, self.recipe]

    def show(self, result: Result, files: ResultFiles, seconds: float) -> dict[Any, Any]:
        """Return the updates that show a result."""
        images = [(str(path), caption) for path, caption in zip(files.images, result.captions, strict=True)]
        made = f"{len(images)} image{'s' if len(images) > 1 else ''} in {seconds:.1f} s"
        command = result.recipe["command"]
        return {
            self.status: _status(made, small=result.model.config.resolution <= SMALL_PX),
            self.animation: gr.update(
                value=None if files.animation is None else str(files.animation), visible=self._moves
            ),
            self.gallery: gr.update(value=images, columns=result.columns_shown, selected_index=None),
            self.grid: gr.update(value=str(files.grid), interactive=True),
            self.bundle: gr.update(value=str(files.bundle), interactive=True),
            self.copy: gr.update(interactive=True),
            self.link: result.recipe["link"],
            self.recipe_box: gr.update(visible=True),
            self.command: gr.update(value=_folded(command), visible=command is not None),
            self.python: result.recipe["python"],
            self.recipe: json.dumps(result.recipe, indent=2, ensure_ascii=False),
        }

    def stopped(self) -> dict[Any, Any]:
        """Return the updates after the visitor cancelled."""
        return {self.status: _status("Stopped. " + self._hint)}


def _status(message: str, *, small: bool = False) -> str:
    """Return the line above the images; its class tells the style sheet how to enlarge them."""
    return f'<p role="status" aria-live="polite" class="{"small" if small else ""}">{html.escape(message)}</p>'


def _folded(command: str | None) -> str:
    """Break a command into lines, one for each option."""
    if command is None:
        return ""
    words = [shlex.quote(word) for word in shlex.split(command)]
    return " ".join(f"\\\n  {word}" if word.startswith("--") else word for word in words)
