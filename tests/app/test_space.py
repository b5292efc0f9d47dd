"""The folder as a Space: anywhere, under any name, without the clone; and the command's own mistakes."""

import json
import re
import shutil
import socket
import sys
import tomllib
import urllib.request
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from app.__main__ import main
from app.engine import Engine, on_zero_gpu
from app.turns import Visitor
from tests.app.asking import LONGEST_S, Asking, Gate
from tests.app.models import tiny_generator
from tests.app.server import served
from tests.processes import ROOT, python
from tests.refusals import refused_command

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


def test_a_space_installs_what_the_library_asks_for() -> None:
    lines = (APP / "requirements.txt").read_text().splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert [line for line in lines if not line.startswith("#")] == project["dependencies"]


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
    ("words", "message"),
    [
        (["--port", "0"], "'0': an integer from 1 to 65535"),
        (["--port", "x"], "'x': an integer"),
        (["--models", "a"], "unrecognized arguments"),
        (["--device", "tpu"], "device='tpu': auto, cpu, cuda, cuda:N or mps is allowed"),
    ],
)
def test_wrong_words_are_reported(words: list[str], message: str) -> None:
    refused_command(main, words, message)


def test_the_command_line_is_read_without_torch_and_gradio() -> None:
    code = "import sys; from app.__main__ import parse; parse([]); print({'torch', 'gradio'} & set(sys.modules))"
    assert python("-c", code).stdout == "set()\n"


@pytest.mark.slow
def test_the_page_does_not_wake_the_compiler(tiny: Path) -> None:
    """Its import would cost the start a second and the server 160 MB."""
    code = "import sys; from app.service import Service; service = Service(sys.argv[1:], device='cpu'); "
    code += "service.warm_up(); print(service.engine.batches, 'torch._dynamo' in sys.modules)"
    assert python("-c", code, tiny).stdout == "2 False\n"


@pytest.mark.slow
def test_a_taken_port_is_reported(tiny: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = python("-m", "app", "--model", tiny, "--port", port, "--no-browser", "--device", "cpu", status=2)
    assert ended.stderr == (
        f"python -m app: error: port={port} on host=127.0.0.1: it is taken; another --port is allowed\n"
    )


@pytest.mark.slow
def test_a_folder_that_holds_no_model_is_told_before_the_page_opens(tiny: Path, tmp_path: Path) -> None:
    nothing = tmp_path / "photographs"
    nothing.mkdir()
    start = "python -m app: error: model="
    command = ("-m", "app", "--no-browser", "--device", "cpu", "--model", tiny, "--model")
    assert python(*command, nothing, status=2).stderr.startswith(f"{start}'{nothing}': no config.json and no model")
    assert python(*command, tmp_path / "nowhere", status=2).stderr.startswith(f"{start}'{tmp_path / 'nowhere'}': ")
