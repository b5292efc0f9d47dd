"""A Hub that stalls, drips, breaks off and talks nonsense: each load and push ends in one line, and soon."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sngan_cond.hub import patience
from tests.hub.client import ClientError, HubClient
from tests.hub.faults import JSON_OF_ANOTHER_SHAPE, Answer, Drip, DripHeaders, Fault, Reset, Stall, StallInBody
from tests.hub.stand_in import HubStandIn
from tests.processes import python
from tests.refusals import refused
from tests.sngan_cond.hub.session import SETUP, load

pytestmark = pytest.mark.slow  # it waits for limits of time, which other tests can use

SILENT = [Stall(), StallInBody(), Drip(0.1)]
SOON_S = 5  # a second over all tries, another for one of the client's own pauses, and what a busy machine takes
PUSH = """
from sngan_cond.hub import upload

upload.PUSH_S = longest_s
result = G.push_to_hub(name, commit_message='one').oid
"""


@pytest.fixture(autouse=True)
def _no_faults(hub: HubStandIn) -> Iterator[None]:
    yield
    hub.faults.clear()


@pytest.fixture(scope="module", autouse=True)
def _toy(impatient: HubClient) -> None:
    impatient.run(SETUP + "G.push_to_hub('alice/toy')", seed=1)


def _kind(value: object) -> str:
    return type(value).__name__ if isinstance(value, Fault) else str(value)


def _refused_load(client: HubClient, cache: Path, *words: str) -> None:
    start = time.monotonic()
    words = ("HubUnavailableError: model='alice/toy@main': the Hub at", *words)
    refused(lambda: load(client, 1, "alice/toy", cache), *words, by=ClientError)
    assert time.monotonic() - start < SOON_S


@pytest.mark.parametrize(
    ("endpoint", "fault"),
    [
        *(("info", fault) for fault in (*SILENT, DripHeaders(0.1))),
        ("head", Stall()),
        *(("resolve", fault) for fault in (*SILENT, DripHeaders(0.1), Reset())),
        ("resolve", Answer(429, headers={"Retry-After": "3600"})),
    ],
    ids=_kind,
)
def test_a_load_ends_soon_and_the_next_one_works(
    hub: HubStandIn, impatient: HubClient, tmp_path: Path, endpoint: str, fault: Fault
) -> None:
    hub.faults.set(endpoint, fault)
    _refused_load(impatient, tmp_path)
    assert {met for met, _ in hub.faults.met} == {endpoint}
    hub.faults.clear()
    if isinstance(fault, DripHeaders):  # what is left behind holds the cache's lock until its connection ends
        hub.stop()
        hub.start()
    assert load(impatient, 1, "alice/toy", tmp_path)[0]


def test_a_download_that_is_not_in_python_has_the_time_that_its_size_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "GRACE_S", 0.1)
    silent, start = threading.Event(), time.monotonic()
    size = int(1.5 * patience.UNSEEN_BYTES_S)
    refused(lambda: patience.within(0.1, silent.wait, size=size), "no end of a download", by=patience.HubTooSlowError)
    assert 1.5 < time.monotonic() - start < SOON_S
    silent.set()


def test_a_command_ends_in_one_line(hub: HubStandIn, impatient: HubClient, tmp_path: Path) -> None:
    assert load(impatient, 1, "alice/toy", tmp_path / "cache")[0]
    hub.faults.set("info", Stall())
    command = ["-m", "sngan_cond", "sample", "--model", "alice/toy", "--class", 0, "--out", tmp_path / "grid.png"]
    environment = hub.environment(tmp_path / "home") | {"HF_HUB_ETAG_TIMEOUT": "1"}
    note, *_ = python(*command, **environment, HF_HUB_CACHE=str(tmp_path / "cache")).stderr.splitlines()
    assert "alice/toy@main: the Hub does not answer; using commit" in note
    done = python(*command, status=2, **environment)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("sngan-cond sample: error: model='alice/toy@main': the Hub at")


def test_a_large_download_may_take_longer_than_a_question(
    hub: HubStandIn, impatient: HubClient, tmp_path: Path
) -> None:
    """The weights come in 2 s, which is more than the second that a question has, and at some kB/s."""
    hub.faults.set("resolve", Drip(0.05, chunk=400))
    start = time.monotonic()
    assert load(impatient, 1, "alice/toy", tmp_path)[0]
    assert time.monotonic() - start > 1.5


@pytest.mark.parametrize("shape", JSON_OF_ANOTHER_SHAPE)
def test_the_cache_serves_where_an_answer_cannot_be_read(
    hub: HubStandIn, impatient: HubClient, tmp_path: Path, shape: str
) -> None:
    assert load(impatient, 1, "alice/toy", tmp_path)[0]
    hub.faults.set("info", JSON_OF_ANOTHER_SHAPE[shape])
    assert load(impatient, 1, "alice/toy", tmp_path)[0]
    _refused_load(impatient, tmp_path / "empty")


@pytest.mark.parametrize(
    ("endpoint", "fault"),
    [
        *((name, Stall()) for name in ("create", "tree", "validate_yaml", "preupload", "lfs_batch", "lfs_put")),
        *(("commit", fault) for fault in (*SILENT, DripHeaders(0.1))),
    ],
    ids=_kind,
)
def test_a_push_ends_soon_and_the_next_one_makes_one_commit(
    hub: HubStandIn, impatient: HubClient, endpoint: str, fault: Fault
) -> None:
    name = f"alice/{endpoint}-{_kind(fault)}"
    push = {"code": SETUP + PUSH, "seed": len(hub.store.repos) + 1, "name": name}  # weights that nobody has sent
    hub.faults.set(endpoint, fault)
    start = time.monotonic()
    refused(lambda: impatient.run(**push, longest_s=1.2), f"HubUnavailableError: repo='{name}': ", by=ClientError)
    assert time.monotonic() - start < SOON_S
    assert {met for met, _ in hub.faults.met} == {endpoint}
    hub.faults.clear()
    impatient.run(**push, longest_s=60.0)
    assert hub.titles(name) == ["one", "initial commit"]


def test_a_push_to_a_hub_that_talks_nonsense_is_told_in_one_line(hub: HubStandIn, impatient: HubClient) -> None:
    name = "alice/nonsense"
    for seed, endpoint in enumerate(("create", "tree", "preupload", "lfs_batch", "commit")):
        push = {"code": SETUP + PUSH, "seed": 100 + seed, "name": name, "longest_s": 60.0}
        for shape, fault in JSON_OF_ANOTHER_SHAPE.items():
            if (endpoint, shape) == ("tree", "no key"):
                continue  # it is a list without entries
            hub.faults.set(endpoint, fault)
            refused(lambda push=push: impatient.run(**push), f"Error: repo='{name}': ", by=ClientError)
        hub.faults.clear()
        impatient.run(**push)
    assert hub.titles(name) == [*["one"] * 5, "initial commit"]


@pytest.mark.parametrize(
    ("status", "words"), [(409, ""), (412, ""), (429, ""), (503, ""), (413, "takes nothing this large (status 413)")]
)
def test_a_refused_commit_is_tried_again_where_that_may_help(
    hub: HubStandIn, impatient: HubClient, status: int, words: str
) -> None:
    name = f"alice/status-{status}"
    push = {"code": SETUP + PUSH, "seed": status, "name": name, "longest_s": 60.0}
    hub.faults.set("commit", Answer(status), times=2)
    if words:
        refused(lambda: impatient.run(**push), f"PretrainedError: repo='{name}'", words, by=ClientError)
    else:
        impatient.run(**push)
    assert len(hub.faults.met) == (1 if words else 2)
    assert hub.titles(name) == ([] if words else ["one"]) + ["initial commit"]


INTERRUPTED = """
import signal
from sngan_cond.hub.upload import push_folder
G.save_pretrained(folder)
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 0.5)
try:
    push_folder(Path(folder), name, title="one")
except KeyboardInterrupt:
    result = "interrupted"
"""


def test_a_push_that_is_interrupted_makes_no_commit(hub: HubStandIn, impatient: HubClient, tmp_path: Path) -> None:
    """It would take a second and a half."""
    hub.latency_s = 0.1
    values = {"seed": 50, "name": "alice/interrupted", "folder": str(tmp_path / "model")}
    try:
        assert impatient.run(SETUP + INTERRUPTED, **values) == "interrupted"
        time.sleep(0.5)  # the request that was being made, and a few more if there were any
        asked = len(hub.requests)
        time.sleep(0.5)
    finally:
        hub.latency_s = 0.0
    assert len(hub.requests) == asked
    assert hub.titles("alice/interrupted") == ["initial commit"]


FOREIGN = """
import time
from huggingface_hub import get_session, set_client_factory
from huggingface_hub.utils import _http
from sngan_cond.hub import patience
made = []
def factory():
    made.append(_http.default_client_factory())
    return made[-1]
set_client_factory(factory)
before = get_session()
Generator.from_pretrained("alice/toy", cache_dir=cache)
result = [get_session() is before is made[-1], len(made)]
def ask():
    _http.close_session()  # as the client does after a connection that was refused
    return get_session().get(url[:-3])
result.append(patience.within(patience.SILENCE_S, ask).request.extensions["timeout"]["read"])
start = time.monotonic()
reply = get_session().get(url)
result += [len(made), time.monotonic() - start, reply.request.extensions["timeout"]["read"]]
set_client_factory(_http.default_client_factory)
"""


def test_the_requests_of_others_are_left_alone(hub: HubStandIn, impatient: HubClient, tmp_path: Path) -> None:
    """Neither their client, nor their factory, nor an answer of theirs that comes slowly."""
    hub.faults.set("whoami", Drip(0.03))
    values = {"url": f"{hub.url}/api/whoami-v2", "cache": str(tmp_path)}
    same, first, ours, second, seconds, timeout = impatient.run(SETUP + FOREIGN, seed=1, **values)
    assert (same, first, ours, second, timeout) == (True, 1, 0.5, 2, None)
    assert seconds > 1.3  # longer than our own would wait
