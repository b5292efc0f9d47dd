"""A run publishes to a Hub that stalls or talks nonsense at one of its endpoints: told once, and tried again."""

from pathlib import Path

import pytest

from tests.hub.client import HubClient
from tests.hub.faults import JSON_OF_ANOTHER_SHAPE, Answer, Drip, Fault, Stall
from tests.hub.stand_in import HubStandIn
from tests.train.publishing.published_run import add_checkpoint

pytestmark = pytest.mark.slow  # it waits for limits of time, which other tests can use

PUBLISH = """
import threading
import time
from pathlib import Path
from sngan_cond.hub import upload
from train.publishing import publisher as publishing

publishing.PAUSE_S, upload.PUSH_S = 0.05, 1.2
said = []
publisher = publishing.Publisher(Path(run_dir), repo, log=said.append)
publisher.submit(Path(checkpoint), 4)
deadline = time.monotonic() + 20
while not any("published to" in line for line in said):
    assert time.monotonic() < deadline, said
    time.sleep(0.01)
assert publisher.close()
# Threads of the client's own would go on without a limit, and Python waits for them at its end.
result = said, [thread.name for thread in threading.enumerate() if "ThreadPool" in thread.name]
"""
ENDPOINTS = ("commits", "create", "tree", "validate_yaml", "preupload", "lfs_batch", "lfs_put", "commit")


@pytest.mark.parametrize(
    ("endpoint", "fault"),
    [
        *((endpoint, Stall()) for endpoint in ENDPOINTS),
        ("commits", Drip(0.2)),
        ("commits", JSON_OF_ANOTHER_SHAPE["a list"]),
        ("preupload", JSON_OF_ANOTHER_SHAPE["too deep"]),
        ("lfs_put", Answer(413)),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_step_is_published_after_all(
    hub: HubStandIn, impatient: HubClient, tmp_path: Path, endpoint: str, fault: Fault
) -> None:
    seed = len(hub.store.repos) + 1  # weights that nobody has sent
    repo = f"alice/run-{seed}"
    checkpoint = add_checkpoint(tmp_path / "run", 4, seed=seed)
    tries = 3 if endpoint == "preupload" and not isinstance(fault, Stall) else 1
    hub.faults.set(endpoint, fault, times=tries)  # which the push makes by itself
    (told, done), threads = impatient.run(PUBLISH, run_dir=str(tmp_path / "run"), repo=repo, checkpoint=str(checkpoint))
    assert [met for met, _ in hub.faults.met] == [endpoint] * tries
    hub.faults.clear()
    assert hub.titles(repo) == ["Step 4", "initial commit"]
    assert threads == []
    assert told.startswith(f"step 4 is not published yet: repo='{repo}': the Hub")
    assert done.startswith(f"step 4 published to {repo}, commit ")


def test_every_endpoint_that_a_publication_asks_is_among_them(
    hub: HubStandIn, impatient: HubClient, tmp_path: Path
) -> None:
    """By the stand-in's own count: a fault that only looks on, at each request."""
    hub.faults.set("*", Fault())
    checkpoint = add_checkpoint(tmp_path / "run", 4, seed=1000)
    impatient.run(PUBLISH, run_dir=str(tmp_path / "run"), repo="alice/whole", checkpoint=str(checkpoint))
    assert {met for met, _ in hub.faults.met} == {*ENDPOINTS}
    hub.faults.clear()
