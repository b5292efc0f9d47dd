"""The named endpoints, called by `gradio_client`: the command's bytes, and mistakes that leave the server up."""

import json
import shlex
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gradio.utils import get_function_description
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from app.api import IMAGE_ENDPOINTS, endpoints
from app.service import Service
from sngan_cond import Generator, cross, morph, sample, vary
from sngan_cond.cli import main as command

HUGE = "x" * 1_000_000
MALFORMED = (b'{"data": [["0"], NaN, NaN, NaN]}', b'{"data": "x"}', b"[" * 100_000, b"\xff", b'{"data": [1,')


pytestmark = pytest.mark.slow  # starting the server takes seconds


@pytest.fixture(scope="module")
def client(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    client = Client(address, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))
    yield client
    client.close()


def _images(paths: list[str]) -> torch.Tensor:
    return torch.stack([torch.from_numpy(_array(path)).permute(2, 0, 1) for path in paths])


def _array(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


def test_sample_gives_the_commands_bytes(client: Client, tiny: Path, tmp_path: Path) -> None:
    grid, images, recipe = client.predict(
        classes=["tench", "n00000004"], count=3, seed=5, truncation=0.7, api_name="/sample"
    )
    words = ["--class", "tench", "--class", "n00000004", "--n", "3", "--seed", "5", "--truncation", "0.7"]
    common = ["sample", "--model", str(tiny), *words, "--device", "cpu"]
    assert command([*common, "--out", str(tmp_path / "grid.png")]) == 0
    assert command([*common, "--out", str(tmp_path / "single")]) == 0
    assert Path(grid).read_bytes() == (tmp_path / "grid.png").read_bytes()
    singles = sorted((tmp_path / "single").glob("*.png"))
    assert [Path(path).read_bytes() for path in images] == [path.read_bytes() for path in singles]
    G = Generator.from_pretrained(tiny)
    assert torch.equal(_images(images), sample(G, classes=[0, 0, 0, 3, 3, 3], seed=5, truncation=0.7))
    assert recipe["command"].replace("tiny", str(tiny), 1).split()[1:4] == common[:3]


def test_the_recipes_commands_make_the_same_files_again(
    client: Client, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").symlink_to(tiny)
    grid, _, recipe = client.predict(classes=["2", "0"], count=2, seed=3, api_name="/sample")
    program, *words = shlex.split(recipe["command"])
    assert program == "sngan-cond"
    assert command([*words, "--device", "cpu"]) == 0
    assert (tmp_path / "grid.png").read_bytes() == Path(grid).read_bytes()
    _, animation, _, recipe = client.predict("2", "0", steps=4, seed=3, api_name="/morph")
    assert command([*shlex.split(recipe["command"])[1:], "--device", "cpu"]) == 0
    assert (tmp_path / "morph.gif").read_bytes() == Path(animation).read_bytes()
    _, animation, _, recipe = client.predict("2", from_seed=3, to_seed=5, steps=3, api_name="/walk")
    assert command([*shlex.split(recipe["command"])[1:], "--device", "cpu"]) == 0
    assert (tmp_path / "walk.gif").read_bytes() == Path(animation).read_bytes()
    grid, _, recipe = client.predict(["0", "2"], [1, 3], count=3, seed=4, api_name="/mixture")
    assert command([*shlex.split(recipe["command"])[1:], "--device", "cpu"]) == 0
    assert (tmp_path / "grid.png").read_bytes() == Path(grid).read_bytes()


def test_morph_gives_the_librarys_images(client: Client, tiny: Path) -> None:
    strip, _, images, _ = client.predict("tench", "2", steps=5, seed=2, api_name="/morph")
    assert torch.equal(
        _images(images), morph(Generator.from_pretrained(tiny), from_class=0, to_class=2, steps=5, seed=2)
    )
    assert _array(strip).shape == (36, 5 * 34 + 2, 3)


def test_mixture_and_walk(client: Client) -> None:
    _, mixed, recipe = client.predict(["0", "2"], [1, 3], count=2, seed=4, api_name="/mixture")
    assert recipe["weights"] == [1, 3]
    assert len(mixed) == 2
    _, animation, steps, recipe = client.predict("1", from_seed=4, to_seed=6, steps=3, api_name="/walk")
    assert len(steps) == 3
    assert Path(animation).read_bytes().startswith(b"GIF89a")
    assert (recipe["seed"], recipe["to_seed"]) == (4, 6)


def test_a_family_of_images(client: Client, tiny: Path) -> None:
    """Every image of a result becomes a parent by what its recipe lists."""
    _, near, recipe = client.predict("7:3", "tench", radius=0.35, count=3, seed=4, api_name="/vary")
    G = Generator.from_pretrained(tiny)
    assert torch.equal(_images(near), vary(G, 0, latent="7:3", radius=0.35, n=3, seed=4))
    assert [entry["latent"] for entry in recipe["images"]] == [f"7:3~0.35~4:{i}" for i in range(3)]
    first, last = recipe["images"][0], recipe["images"][2]
    asked = {"latent": first["latent"], "to_latent": last["latent"], "class_name": first["class"], "to_class": "2"}
    _, grid, recipe = client.predict(**asked, steps=2, api_name="/cross")
    assert torch.equal(_images(grid), cross(G, "7:3~0.35~4:0", "7:3~0.35~4:2", 0, 2, steps=2))
    child = recipe["images"][3]
    assert child == {"latent": "7:3~0.35~4:2", "class": "2"}
    _, again, _ = client.predict(["2"], latent=child["latent"], api_name="/sample")
    assert torch.equal(_images(again), _images(grid)[3:])
    _, _, frames, _ = client.predict("2*0.5+0*0.5", to_seed=1, steps=2, latent=child["latent"], api_name="/walk")
    _, mixed, _ = client.predict(["2", "0"], [1, 1], latent=child["latent"], api_name="/mixture")
    assert torch.equal(_images(frames)[:1], _images(mixed))


def test_classes_and_models(client: Client) -> None:
    found = client.predict("crane", api_name="/classes")
    assert [entry["index"] for entry in found] == [1, 3]
    assert client.predict(api_name="/classes", model="classless") == []
    assert client.predict(api_name="/models") == {"models": ["tiny", "classless"], "repos": ["alice/*"]}


def test_a_model_without_classes(client: Client, classless: Path) -> None:
    _, images, _ = client.predict([], count=3, seed=1, model="classless", api_name="/sample")
    assert torch.equal(_images(images), sample(Generator.from_pretrained(classless), n=3, seed=1))


@pytest.mark.parametrize(
    ("endpoint", "values", "message"),
    [
        ("/sample", {"classes": ["<img src=x onerror=alert(1)>"]}, "&lt;img src=x onerror=alert(1)&gt;"),
        ("/sample", {"classes": [HUGE]}, "1,000,000 characters"),
        ("/sample", {"classes": ["0"], "seed": 2**70}, "seed is 1180591620717411303424"),
        ("/morph", {"from_class": "0", "to_class": "9"}, "class '9' is unknown"),
        ("/mixture", {"classes": ["0"], "weights": []}, "1 numbers are expected"),
        ("/walk", {"class_name": "0", "to_seed": "x"}, "second seed is 'x'"),
        (
            "/sample",
            {"classes": ["0"], "latent": "7:3", "count": 2},
            "2 beside the latent '7:3': 1 is allowed",
        ),
        ("/sample", {"classes": ["0"], "latent": "7:3", "seed": 2}, "seed is 2 beside the latent '7:3'"),
        ("/vary", {"latent": "7:3~2~1:1", "class_name": "0"}, "fraction=2.0: a number from 0 to 1 is allowed"),
        ("/cross", {"class_name": "0"}, "choose the classes of both images"),
        ("/classes", {"limit": 0}, "limit is 0"),
    ],
)
def test_mistakes_are_reported(client: Client, endpoint: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(AppError) as error:
        client.predict(**values, api_name=endpoint)
    assert message in str(error.value)
    assert "Traceback" not in str(error.value)


def test_the_server_is_up_after_everything(client: Client, address: str) -> None:
    """Values that the client itself refuses to send, straight to the server; then a plain request."""
    codes: list[int] = []
    for body in MALFORMED:
        request = urllib.request.Request(f"{address}gradio_api/call/sample", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                event = json.load(answer)["event_id"]
            with urllib.request.urlopen(f"{address}gradio_api/call/sample/{event}", timeout=20) as answer:
                assert b"event: error" in answer.read()
        except urllib.error.HTTPError as error:
            error.close()
            codes.append(error.code)
    assert all(400 <= code < 500 for code in codes), codes
    assert len(client.predict(["0"], count=2, api_name="/sample")[1]) == 2


def test_two_plain_requests_make_images(address: str, tiny: Path) -> None:
    """As the README says it for curl: values by name, then the answer, whose files can be fetched."""
    values = json.dumps({"classes": ["tench"], "count": 2, "seed": 5}).encode()
    call = f"{address}gradio_api/call"
    request = urllib.request.Request(f"{call}/v2/sample", values, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{call}/sample/{event}", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    assert lines[0] == "event: complete"
    grid, images, recipe = json.loads(lines[1].removeprefix("data: "))
    assert (len(images), recipe["seed"]) == (2, 5)
    with urllib.request.urlopen(images[1]["url"], timeout=20) as answer, Image.open(answer) as image:
        made = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    assert torch.equal(made, sample(Generator.from_pretrained(tiny), classes=[0, 0], seed=5)[1])
    assert grid["url"].startswith(address)


@pytest.mark.parametrize("path", ["/etc/passwd", "config.json", "../config.json"])
def test_no_file_of_the_server_is_served(address: str, tiny: Path, path: str) -> None:
    asked = path if path.startswith("/") else str(tiny / path)
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{address}gradio_api/file={asked}", timeout=20)
    error.value.close()
    assert error.value.code in (403, 404)


@pytest.mark.parametrize("path", ["gradio_api/file=", "file=", "file/"])
@pytest.mark.parametrize("to", ["https://example.com/", "HTTP%3A//example.com/", "http:/example.com/"])
def test_the_page_is_no_proxy(address: str, path: str, to: str) -> None:
    """Gradio would fetch any web address for anybody, but those of private networks."""
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{address}{path}{to}", timeout=20)
    with error.value as answer:
        assert (answer.code, answer.read()) == (403, b"files of this page are served, and nothing of other sites")


def test_old_clients_can_read_what_is_described(address: str) -> None:
    """`gradio_client` 1.4 fails where a schema is a boolean, at components of the page's own too, as `gr.Image`'s."""
    described = []
    for path in ("gradio_api/info", "config"):
        with urllib.request.urlopen(address + path, timeout=20) as answer:
            described.append(json.load(answer))

    def schemas(node: Any) -> Iterator[Any]:
        for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
            if key == "additionalProperties":
                yield value
            yield from schemas(value)

    found = list(schemas(described))
    assert found
    assert all(isinstance(schema, dict) for schema in found)


def test_endpoints_and_their_parameters_are_described(address: str, tiny: Path) -> None:
    with urllib.request.urlopen(f"{address}gradio_api/info", timeout=20) as answer:
        described = json.load(answer)["named_endpoints"]
    kinds = (kind.tab for kind in IMAGE_ENDPOINTS.values())
    assert set(described) == {f"/{name}" for name in (*kinds, "classes", "models")}
    for function in endpoints(Service([str(tiny)], device="cpu")):
        endpoint = described[f"/{function.__name__}"]
        summary, parameters, returns = get_function_description(function)
        assert endpoint["description"] == summary
        assert len(summary) > 30
        assert [entry["parameter_name"] for entry in endpoint["parameters"]] == [
            n for n in parameters if n != "http_request"
        ]
        for name, text in parameters.items():
            assert name == "http_request" or text.endswith("."), (function.__name__, name, text)
        assert returns
