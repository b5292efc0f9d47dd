"""The command that starts the page: its words, its environment, and models that cannot be opened."""

import socket
import urllib.request
from pathlib import Path

import pytest

from app.__main__ import main, parse
from app.models import ModelStore
from app.results import Results
from app.service import Service
from app.start import warm_up
from tests.app.models import damage, save_tiny
from tests.app.server import free_port, served
from tests.processes import python, wait_for
from tests.refusals import refused, refused_command


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port", "0"], "'0': an integer from 1 to 65535"),
        (["--port", "x"], "'x': an integer"),
        (["--models", "a"], "unrecognized arguments"),
        (["--device", "tpu"], "device='tpu': auto, cpu, cuda, cuda:N or mps is allowed"),
        (["--host", "192.0.2.1"], "host='192.0.2.1' (--host or GRADIO_SERVER_NAME): "),
        (["--host", "a b"], "host='a b' (--host or GRADIO_SERVER_NAME): "),
    ],
)
def test_wrong_words_are_reported(words: list[str], message: str, environment: dict[str, str]) -> None:
    environment["GRADIO_SERVER_PORT"] = str(free_port())
    refused_command(main, words, message)


@pytest.mark.parametrize(
    ("given", "words", "where"),
    [
        ({}, [], ("127.0.0.1", 7860)),
        ({"GRADIO_SERVER_NAME": "", "GRADIO_SERVER_PORT": ""}, [], ("127.0.0.1", 7860)),
        ({"GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SERVER_PORT": "17999"}, [], ("0.0.0.0", 17999)),
        ({"GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SERVER_PORT": "17999"}, ["--port", "18000"], ("0.0.0.0", 18000)),
        ({"GRADIO_SERVER_PORT": "x"}, ["--port", "18000", "--host", "::1"], ("::1", 18000)),
    ],
)
def test_a_container_says_where_to_listen(
    environment: dict[str, str], given: dict[str, str], words: list[str], where: tuple[str, int]
) -> None:
    environment.update(given)
    options = parse(words)
    assert (options.host, options.port) == where


@pytest.mark.parametrize("port", ["x", "0", "70000", "7860.0"])
def test_a_wrong_variable_is_named(environment: dict[str, str], port: str) -> None:
    environment["GRADIO_SERVER_PORT"] = port
    refused_command(main, [], f"GRADIO_SERVER_PORT='{port}': an integer from 1 to 65535 is allowed")


def test_a_taken_port_is_reported_with_the_flag(environment: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        message = f"port={port} on host=127.0.0.1: it is taken; another --port is allowed"
        refused_command(main, ["--port", port], message)
        environment["GRADIO_SERVER_PORT"] = port
        refused_command(main, [], message)


def test_the_command_line_is_read_without_torch_and_gradio() -> None:
    code = "import sys; from app.__main__ import parse; parse([]); print({'torch', 'gradio'} & set(sys.modules))"
    assert python("-c", code).stdout == "set()\n"


@pytest.mark.slow
def test_the_page_does_not_wake_the_compiler(tiny: Path) -> None:
    """Its import would cost the start a second and the server 160 MB."""
    code = "import sys; from app.service import Service; service = Service(sys.argv[1:], device='cpu'); "
    code += "service.make(service.first_request(service.open())); print('torch._dynamo' in sys.modules)"
    assert python("-c", code, tiny).stdout == "False\n"


@pytest.mark.slow
def test_a_folder_that_holds_no_model_is_told_before_the_page_opens(tiny: Path, tmp_path: Path) -> None:
    nothing = tmp_path / "photographs"
    nothing.mkdir()
    damaged = save_tiny(tmp_path / "damaged")
    damage(damaged, "lying")
    nowhere = tmp_path / "nowhere"
    command = ("-m", "app", "--no-browser", "--device", "cpu", "--port", free_port(), "--model", tiny, "--model")
    for folder, message in [
        (nothing, f"model='{nothing}': no config.json and no model.safetensors there"),
        (damaged, f"{damaged}/model.safetensors: damaged or not safetensors"),
        (nowhere, f"model='{nowhere}': no such folder, and no repo"),
    ]:
        told = python(*command, folder, status=2).stderr
        assert told.startswith(f"python -m app: error: {message}")
        assert told.count("\n") == 1


@pytest.mark.slow
def test_a_model_that_cannot_be_opened_is_told_once_and_the_page_stays(tiny: Path, tmp_path: Path) -> None:
    words = ["--model", "alice/nothing", "--model", str(tiny)]
    start = "python -m app: model='alice/nothing@main': no such folder, not in the cache"
    with served(words, tmp_path, {"HF_HOME": str(tmp_path / "hub")}) as address:
        log = tmp_path / "log.txt"
        wait_for(lambda: start in log.read_text(), longest_s=20)
        with urllib.request.urlopen(f"{address}config", timeout=20) as answer:
            assert answer.status == 200
    assert log.read_text().count(start) == 1


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("foreign", "model='toy': toy: config.json: the config is one of transformers"),
        ("README.md", "model='toy': toy/README.md: cannot be read as text"),
    ],
)
def test_what_cannot_be_opened_is_named(
    tmp_path: Path, kind: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_tiny(tmp_path / "toy")
    damage(folder, kind)
    warm_up(Results(Service([str(folder)], device="cpu"), tmp_path / "results"), "page")
    assert capsys.readouterr().err.startswith(f"page: {message}")


def test_a_model_that_opens_is_warmed_up_without_words(
    tiny: Path, classless: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the page begins with is there before anybody comes, and it is known how long images take."""
    for folder in (tiny, classless):
        service = Service([str(folder)], device="cpu")
        results = Results(service, tmp_path / folder.name)
        warm_up(results, "page")
        model = service.open()
        assert service.seconds_for(model) > 0
        kept = results.kept(model, service.first_request(model))
        assert kept is not None
        assert len(kept["images"]) == kept["total"] == (32 if model.config.num_classes else 8)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("huge", "toy: config.json: channels"),
        ("foreign", "not of sngan-cond"),
        ("lying", "model.safetensors: damaged"),
        ("pickle", "no model.safetensors there"),
    ],
)
def test_damaged_folders_are_found_at_the_start(tmp_path: Path, kind: str, message: str) -> None:
    folder = save_tiny(tmp_path / "toy")
    damage(folder, kind)
    refused(ModelStore([str(folder)]).check_sources, message)
