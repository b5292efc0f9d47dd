"""What an assistant gets from the tools, by the client of the Model Context Protocol."""

import asyncio
import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, Tool
from PIL import Image

from app.api import IMAGE_ENDPOINTS
from app.assistant import contents
from sngan_cond import Generator, morph, sample
from sngan_cond.images import save_png, to_grid
from tests.app.server import served


@pytest.fixture(scope="module")
def tools_address(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(["--model", str(tiny), "--mcp"], tmp_path_factory.mktemp("page")) as address:
        yield f"{address}gradio_api/mcp/"


def called(address: str, tool: str, values: dict[str, Any], *, follows: bool = False) -> CallToolResult:
    """Call a tool; `follows` asks for its progress, to which Gradio answers in another way."""

    async def progress(*_: object) -> None: ...

    async def call() -> CallToolResult:
        async with streamable_http_client(address) as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            return await session.call_tool(tool, values, progress_callback=progress if follows else None)

    return asyncio.run(call())


def listed(address: str) -> list[Tool]:
    async def ask() -> list[Tool]:
        async with streamable_http_client(address) as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            return (await session.list_tools()).tools

    return asyncio.run(ask())


def images_of(result: CallToolResult, kind: str = "image/png") -> list[torch.Tensor]:
    found = []
    for content in result.content:
        if content.type == "image" and content.mimeType == kind:
            with Image.open(io.BytesIO(base64.b64decode(content.data))) as image:
                found.append(torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1))
    return found


def texts_of(result: CallToolResult) -> list[str]:
    return [content.text for content in result.content if content.type == "text"]


@pytest.mark.slow
def test_the_endpoints_are_tools(tools_address: str) -> None:
    tools = {tool.name: tool for tool in listed(tools_address)}
    assert set(tools) == {*(endpoint.__name__ for endpoint in IMAGE_ENDPOINTS), "classes", "models"}
    assert tools["sample"].inputSchema["required"] == ["classes"]
    assert "http_request" not in tools["sample"].inputSchema["properties"]


@pytest.mark.slow
@pytest.mark.parametrize("follows", [False, True])
def test_an_assistant_sees_the_librarys_images(tools_address: str, tiny: Path, follows: bool) -> None:
    values = {"classes": ["tench", "2"], "count": 3, "seed": 5}
    result = called(tools_address, "sample", values, follows=follows)
    expected = sample(Generator.from_pretrained(tiny), classes=[0, 0, 0, 2, 2, 2], seed=5)
    grid, *singles = images_of(result)
    assert torch.equal(grid, to_grid(expected, columns=3))
    assert torch.equal(torch.stack(singles), expected)
    address, recipe = texts_of(result)
    assert address.startswith(f"sample-seed5-grid.png: {tools_address.removesuffix('mcp/')}file=")
    assert json.loads(recipe)["seed"] == 5
    assert json.loads(recipe)["classes"][1]["name"] == "golf <b>ball</b>"


@pytest.mark.slow
def test_an_assistant_sees_a_morph_as_strip_animation_and_images(tools_address: str, tiny: Path) -> None:
    result = called(tools_address, "morph", {"from_class": "tench", "to_class": "2", "steps": 4, "seed": 2})
    expected = morph(Generator.from_pretrained(tiny), from_class=0, to_class=2, steps=4, seed=2)
    strip, *singles = images_of(result)
    assert torch.equal(strip, to_grid(expected, columns=4))
    assert torch.equal(torch.stack(singles), expected)
    assert len(images_of(result, "image/gif")) == 1
    assert json.loads(texts_of(result)[-1])["steps"] == 4


@pytest.mark.slow
def test_what_is_no_image_is_json_and_a_mistake_is_one(tools_address: str) -> None:
    (found,) = texts_of(called(tools_address, "classes", {"query": "crane"}))
    assert [entry["index"] for entry in json.loads(found)] == [1, 3]
    (models,) = texts_of(called(tools_address, "models", {}))
    assert json.loads(models) == {"models": ["tiny"], "repos": []}
    result = called(tools_address, "sample", {"classes": ["whale"]})
    assert result.isError
    assert "class 'whale' is unknown" in texts_of(result)[0]


def test_files_are_found_in_further_lists(tmp_path: Path) -> None:
    """However often Gradio wraps the outputs; a file that is no image is named by its address."""
    files = []
    for name in ("grid.png", "a.png", "b c.zip"):
        save_png(torch.full((3, 2, 2), len(name), dtype=torch.uint8), tmp_path / name)
        files.append(gr.FileData(path=str(tmp_path / name), orig_name=name).model_dump())
    outputs = [files[0], [files[1]], files[2], {"seed": 3, "name": "é"}, []]
    plain = contents(outputs, "http://page")
    assert contents([outputs], "http://page") == contents([tuple(outputs)], "http://page") == plain
    assert [content.type for content in plain] == ["image", "text", "image", "text", "text", "text"]
    pixels = [base64.b64decode(content.data) for content in plain if content.type == "image"]
    assert pixels == [(tmp_path / name).read_bytes() for name in ("grid.png", "a.png")]
    texts = [content.text for content in plain if content.type == "text"]
    assert texts[0] == f"grid.png: http://page/gradio_api/file={tmp_path}/grid.png"
    assert texts[1].startswith("b c.zip: http://page/gradio_api/file=")
    assert " " not in texts[1].partition(": ")[2]
    assert texts[2:] == ['{"seed": 3, "name": "é"}', "[]"]
