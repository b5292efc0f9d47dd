import pytest

from tests.hub.client import HubClient
from tests.sngan_cond.hub.session import ROWS, SETUP


@pytest.fixture(scope="module")
def commits(client: HubClient) -> list[str]:
    """Hashes of two pushes to alice/toy, of the generators of seeds 1 and 2."""
    push = SETUP + "result = G.push_to_hub('alice/toy', commit_message=f'seed {seed}', metrics=metrics).oid"
    first = client.run(push, seed=1, metrics={"metrics": ROWS})
    client.run(SETUP + "HfApi().create_tag('alice/toy', tag='v1')", seed=1)
    return [first, client.run(push, seed=2, metrics=None)]
