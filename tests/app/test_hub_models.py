"""Repos that cannot be opened, over HTTP: each is told, and the page serves the next request."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from tests.app.models import damage, push, save_tiny
from tests.app.server import served
from tests.hub.client import HubClient
from tests.hub.stand_in import HubStandIn

pytestmark = pytest.mark.slow
DAMAGED = ("huge", "foreign", "lying", "pickle")


@pytest.fixture(scope="module")
def page(hub: HubStandIn, client: HubClient, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The page's endpoints, beside a Hub with a good repo, a private one, and damaged ones."""
    folder = tmp_path_factory.mktemp("page")
    for name in ("toy", "private", *DAMAGED):
        saved = save_tiny(folder / name)
        if name in DAMAGED:
            damage(saved, name)
        push(client, f"alice/{name}", saved, private=name == "private")
    environment = hub.environment(folder / "home", token=None) | {"HF_HUB_OFFLINE": "0"}
    words = ["--model", str(tiny), "--model", "alice/private", "--allow-repo", "alice/*"]
    with served(words, folder, environment) as address:
        page = Client(address, verbose=False, download_files=False)
        yield page
        page.close()


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
def test_a_repo_that_cannot_be_opened(page: Client, model: str, revision: str, message: str) -> None:
    with pytest.raises(AppError) as error:
        page.predict(["0"], model=model, revision=revision, api_name="/sample")
    assert message in str(error.value)
    assert "/home" not in str(error.value)
    assert len(page.predict(["0"], count=1, api_name="/sample")[1]) == 1


def test_a_repo_is_loaded_once_and_works_without_its_hub(page: Client, hub: HubStandIn) -> None:
    def recipe_of(model: str) -> dict[str, object]:
        recipe: dict[str, object] = page.predict(["0"], count=1, model=model, api_name="/sample")[2]
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
