"""What an assistant gets from the endpoints as tools: images that it can look at, and the rest as JSON."""

import base64
import json
import mimetypes
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import gradio as gr
from gradio_client.utils import is_file_obj_with_meta

if TYPE_CHECKING:
    from mcp.types import ImageContent, TextContent

    Content = ImageContent | TextContent


def answer_with_images(demo: gr.Blocks) -> None:
    """Let the tools of a page that is up, if it was launched with any, answer with `contents`.

    Gradio's own answer is the `repr` of all outputs in one text: its server wraps several outputs in a list once too
    often, and of a list of images it would show none.
    """
    server = demo.mcp_server_obj
    if server is not None:
        server.postprocess_output_data = contents  # type: ignore[method-assign]


def contents(outputs: Any, root_url: str) -> list["Content"]:
    """Turn what an endpoint returns into what an assistant gets.

    Args:
        outputs: of an endpoint, or a list of them in a list; files are Gradio's FileData.
        root_url: of the page, as the assistant reaches it.
    Returns:
        Every image with the bytes of its file, in order, followed by its address if it is an output of its own, and
        every other output as JSON.
    """
    from mcp.types import ImageContent, TextContent  # here: only who offers tools has it

    def shown(output: Any, *, addressed: bool = True) -> Iterator["Content"]:
        if is_file_obj_with_meta(output):
            path = Path(output["path"])
            kind = mimetypes.guess_type(path.name)[0] or ""
            if kind.startswith("image/"):
                yield ImageContent(type="image", data=base64.b64encode(path.read_bytes()).decode(), mimeType=kind)
            if addressed:
                address = f"{root_url}/gradio_api/file={quote(output['path'])}"
                yield TextContent(type="text", text=f"{path.name}: {address}")
        elif _holds_file(output):
            for part in output:
                yield from shown(part, addressed=not all(map(is_file_obj_with_meta, output)))
        else:
            yield TextContent(type="text", text=json.dumps(output, ensure_ascii=False))

    return [content for output in outputs for content in shown(output)]


def _holds_file(output: Any) -> bool:
    return is_file_obj_with_meta(output) or (isinstance(output, list | tuple) and any(map(_holds_file, output)))
