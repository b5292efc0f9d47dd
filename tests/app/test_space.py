"""The folder as a Space: anywhere, under any name, without the clone, behind a proxy, with a GPU that is lent."""

import asyncio
import json
import re
import shutil
import sys
import tomllib
import urllib.request
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import uvicorn
import yaml

from app.engine import Engine, on_zero_gpu
from app.serving import PRIVATE, set_environment_defaults
from app.turns import Visitor
from tests.app.asking import LONGEST_S, Asking, Gate
from tests.app.models import tiny_generator
from tests.app.server import served
from tests.processes import ROOT

APP = ROOT / "app"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["app", "my-space"])
def test_the_folder_with_the_library_inside_is_a_space(tmp_path: Path, tiny: Path, name: str) -> None:
    space = tmp_path / name
    shutil.copytree(APP, space, ignore=shutil.ignore_patterns("__pycache__"))
    (space / "sngan_cond").symlink_to(ROOT / "sngan_cond")
    environment = {"PYTHONPATH": "", "MODELS": str(tiny), "OMP_NUM_THREADS": "1"}
    with (
        served([], tmp_path, environment, program=(str(space / "app.py"),)) as address,
        urllib.request.urlopen(f"{address}config", timeout=20) as answer,
    ):
        labels = [component["props"].get("label") for component in json.load(answer)["components"]]
    assert {"Sample", "Morph", "Mixture", "Walk", "About"} <= set(labels)


def test_the_front_matter_is_a_spaces() -> None:
    text = (APP / "README.md").read_text()
    front_matter = yaml.safe_load(text.split("---")[1])
    assert front_matter["sdk"] == "gradio"
    assert (APP / front_matter["app_file"]).is_file()
    assert re.fullmatch(r"6\.\d+\.\d+", front_matter["sdk_version"])
    assert len(front_matter["short_description"]) <= 60
    colours = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {front_matter["colorFrom"], front_matter["colorTo"]} <= colours


def test_a_space_installs_what_the_library_and_the_page_ask_for() -> None:
    lines = (APP / "requirements.txt").read_text().splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    app = [line for line in project["optional-dependencies"]["app"] if not line.startswith("gradio>")]
    assert [line for line in lines if not line.startswith("#")] == [*project["dependencies"], *app]


def test_a_lent_gpu_is_used_call_by_call(monkeypatch: pytest.MonkeyPatch) -> None:
    lent = []

    def gpu(duration: int) -> object:
        lent.append(duration)
        return lambda function: function

    spaces = ModuleType("spaces")
    spaces.GPU = gpu  # type: ignore[attr-defined]
    spaces.__spec__ = __import__("importlib.machinery").machinery.ModuleSpec("spaces", None)
    monkeypatch.setitem(sys.modules, "spaces", spaces)
    assert not on_zero_gpu()
    moved = []
    G = tiny_generator()
    monkeypatch.setattr(G, "to", lambda device: moved.append(device) or G)
    Asking(Engine(), G, 1).count()
    assert (lent, moved) == ([], [])
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert on_zero_gpu()
    engine = Engine()
    assert lent == [60]
    gate = Gate(G)
    visitors = [Visitor("10.0.0.1", "me"), Visitor("10.0.0.1", "me"), Visitor("10.0.0.2", "you")]
    askings = [Asking(engine, G, 1)]
    assert gate.held.wait(LONGEST_S)
    askings += [Asking(engine, G, 1, visitor) for visitor in visitors]
    gate.open.set()
    assert [asking.count() for asking in askings] == [1] * 4
    assert moved == ["cuda"] * 3  # nobody's quota pays for another visitor


@pytest.mark.parametrize(
    ("space", "trusts", "visitor"), [("", None, "10.0.0.7"), ("user/space", PRIVATE, "198.51.100.9")]
)
def test_a_space_takes_visitors_addresses_from_its_proxy(
    environment: dict[str, str], space: str, trusts: str | None, visitor: str
) -> None:
    """As uvicorn, configured as Gradio does it, passes requests on."""
    environment.pop("FORWARDED_ALLOW_IPS", None)
    environment["SPACE_ID"] = space
    set_environment_defaults()
    assert environment.get("FORWARDED_ALLOW_IPS") == trusts
    clients = []

    async def page(scope: dict[str, Any], *_: object) -> None:
        clients.append(scope["client"][0])

    server = uvicorn.Config(app=page, port=7860, host="127.0.0.1", log_level="warning")
    server.load()
    headers = [(b"x-forwarded-for", b"6.6.6.6, 198.51.100.9")]  # the first is what the visitor says
    scope = {"type": "http", "client": ("10.0.0.7", 1), "scheme": "http", "headers": headers}
    asyncio.run(server.loaded_app(scope, None, None))  # type: ignore[arg-type]  # all of a request that is looked at
    assert clients == [visitor]
