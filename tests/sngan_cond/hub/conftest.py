from collections.abc import Iterator

import pytest

from tests.hub.client import HubClient
from tests.hub.stand_in import HubStandIn
from tests.sngan_cond.hub.session import ROWS, SETUP


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubStandIn]:
    with HubStandIn(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture(scope="module")
def client(hub: HubStandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubClient]:
    home = tmp_path_factory.mktemp("home")
    with HubClient(hub.environment(home), home / "log.txt") as client:
        yield client


@pytest.fixture(scope="module")
def commits(client: HubClient) -> list[str]:
    """Hashes of two pushes to alice/toy, of the generators of seeds 1 and 2."""
    push = SETUP + "result = G.push_to_hub('alice/toy', commit_message=f'seed {seed}', metrics=metrics).oid"
    first = client.run(push, seed=1, metrics={"metrics": ROWS})
    client.run(SETUP + "HfApi().create_tag('alice/toy', tag='v1')", seed=1)
    return [first, client.run(push, seed=2, metrics=None)]
