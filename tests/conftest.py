import os
from collections.abc import Iterator

import pytest

# One thread: tiny tensors lose more to the meeting of threads than they gain, and sums keep their order.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests.hub.client import HubClient
from tests.hub.stand_in import HubStandIn


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubStandIn]:
    """A Hub on loopback, empty for each module."""
    with HubStandIn(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture(scope="module")
def client(hub: HubStandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubClient]:
    """The real client in a process of its own, logged in to `hub` as alice."""
    home = tmp_path_factory.mktemp("home")
    with HubClient(hub.environment(home), home / "log.txt") as client:
        yield client
