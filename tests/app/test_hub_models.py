"""Repos that cannot be opened, over HTTP: each is told, and the page serves the next request."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from tests.app.models import save_tiny
from tests.app.server import ROOT, served
from tests.hub.stand_in import HubStandIn

pytestmark = pytest.mark.slow

PUSH = """
import json, sys
from huggingface_hub import HfApi
api = HfApi()
for repo, (folder, private) in json.loads(sys.argv[1]).items():
    api.create_repo(repo, private=private)
    api.upload_folder(repo_id=repo, folder_path=folder)
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubStandIn]:
    """A Hub with a good repo, a private one, and damaged ones."""
    folder = tmp_path_factory.mktemp("hub")
    names = ("toy", "private", "huge", "foreign", "lying", "pickle")
    folders = {name: save_tiny(folder / name) for name in names}
    config = folders["huge"] / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"channels": 1_000_000_000}))
    (folders["foreign"] / "config.json").write_text(json.dumps({"model_type": "bert", "hidden_size": 768}))
    weights = folders["lying"] / "model.safetensors"
    weights.write_bytes((2**62).to_bytes(8, "little") + weights.read_bytes()[8:])
    (folders["pickle"] / "model.safetensors").rename(folders["pickle"] / "pytorch_model.bin")
    with HubStandIn(folder / "store") as hub:
        repos = {f"alice/{name}": (str(path), name == "private") for name, path in folders.items()}
        environment = os.environ | hub.environment(folder / "home") | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", PUSH, json.dumps(repos)]
        subprocess.run(command, check=True, env=environment, capture_output=True)
        yield hub


@pytest.fixture(scope="module")
def client(hub: HubStandIn, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("page")
    environment = hub.environment(folder / "home", token=None) | {"HF_HUB_OFFLINE": "0", "OMP_NUM_THREADS": "1"}
    words = ["--model", str(tiny), "--model", "alice/private", "--allow-repo", "alice/*"]
    with served(words, folder, environment) as address:
        client = Client(address, verbose=False, download_files=False)
        yield client
        client.close()


@pytest.mark.parametrize(
    ("model", "revision", "message"),
    [
        ("alice/nothing", "", "no such repo"),
        ("alice/private", "", "or a private one"),
        ("alice/toy", "v9", "no branch, tag or full commit hash 'v9'; it has main"),
        ("alice/toy", "0" * 40, "0000000000"),
        ("alice/toy", "../main", "a branch, a tag or a full commit hash is allowed"),
        ("alice/huge", "", "channels"),
        ("alice/foreign", "", "not of sngan-cond"),
        ("alice/lying", "", "model.safetensors"),
        ("alice/pickle", "", "weights are only read from safetensors"),
        ("alice/toy/x", "", "is not offered here"),
        ("alice/..", "", "is not offered here"),
    ],
)
def test_a_repo_that_cannot_be_opened(client: Client, model: str, revision: str, message: str) -> None:
    with pytest.raises(AppError) as error:
        client.predict(["0"], model=model, revision=revision, api_name="/sample")
    assert message in str(error.value)
    assert "/home" not in str(error.value)
    assert len(client.predict(["0"], count=1, api_name="/sample")[1]) == 1


def test_a_repo_is_loaded_once_and_works_without_its_hub(client: Client, hub: HubStandIn) -> None:
    def recipe_of(model: str) -> dict[str, object]:
        recipe: dict[str, object] = client.predict(["0"], count=1, model=model, api_name="/sample")[2]
        return recipe

    first = recipe_of("alice/toy")
    assert first["model"]["commit"] in hub.store.repos["alice/toy"].commits  # type: ignore[index]
    asked = len(hub.requests)
    assert recipe_of("alice/toy")["model"] == first["model"]
    assert len(hub.requests) == asked
    hub.stop()
    try:
        assert recipe_of("alice/toy")["model"] == first["model"]
        with pytest.raises(AppError, match="cannot be reached"):
            recipe_of("alice/other")
    finally:
        hub.start()
