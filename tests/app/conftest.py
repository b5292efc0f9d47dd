import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

if importlib.util.find_spec("playwright") is not None:
    from tests.app.browser import chromium, page, page_address, toy, visit  # noqa: F401  fixtures
from app.service import Service
from tests.app.models import save_tiny
from tests.app.server import served


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of four classes, two of them called crane and one with markup in its name."""
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def classless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without classes."""
    return save_tiny(tmp_path_factory.mktemp("models") / "classless", seed=1, num_classes=0)


@pytest.fixture(scope="session")
def service(tiny: Path, classless: Path) -> Service:
    """What the page does, with both models."""
    return Service([str(tiny), str(classless)], allow_repos=["alice/*"], device="cpu")


@pytest.fixture(scope="session")
def address(tiny: Path, classless: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page of `python -m app` with both models, on loopback."""
    folder = tmp_path_factory.mktemp("page")
    words = ["--model", str(tiny), "--model", str(classless), "--allow-repo", "alice/*"]
    with served(words, folder) as address:
        yield address


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """This process's environment, which the page's start changes, to be changed."""
    copy = {name: value for name, value in os.environ.items() if not name.startswith("GRADIO_SERVER_")}
    monkeypatch.setattr(os, "environ", copy)
    return copy
