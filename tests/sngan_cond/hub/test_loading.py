"""What a load takes from the Hub or the cache: files of one commit, for those who may."""

import itertools
from pathlib import Path

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from sngan_cond.hub.download import locate
from sngan_cond.hub.errors import with_retries
from sngan_cond.hub.files import PretrainedError
from tests.hub.client import ClientError, HubClient
from tests.hub.stand_in import HubStandIn
from tests.hub.store import StoreError
from tests.refusals import refused
from tests.sngan_cond.hub.session import ROWS, SETUP, load


@pytest.mark.parametrize(
    ("name", "revision", "which"),
    [
        ("alice/toy", None, 1),
        ("alice/toy", "main", 1),
        ("alice/toy@main", None, 1),
        ("alice/toy", "v1", 0),
        ("alice/toy@v1", None, 0),
    ],
)
def test_branch_and_tag_into_an_empty_cache(
    client: HubClient, commits: list[str], tmp_path: Path, name: str, revision: str | None, which: int
) -> None:
    metrics = {"metrics": ROWS} if which == 0 else None
    assert load(client, which + 1, name, tmp_path, revision) == [True, commits[which], metrics, True]


def test_full_hash_is_loaded_without_the_network_once_cached(
    hub: HubStandIn, client: HubClient, commits: list[str], tmp_path: Path
) -> None:
    plain = f"Generator.from_pretrained('alice/toy', revision={commits[0]!r}, cache_dir={str(tmp_path)!r})"
    client.run(SETUP + plain, seed=1)
    before = len(hub.requests)
    assert client.run(f"{SETUP}result = {plain}.provenance.commit_hash", seed=1) == commits[0]
    assert len(hub.requests) == before
    # What a plain load left out is fetched when it is asked for, and lies in the same folder.
    expected = [True, commits[0], {"metrics": ROWS}, True]
    assert load(client, 1, f"alice/toy@{commits[0]}", tmp_path) == expected


def test_a_cache_folder_of_nobody_is_told_in_one_line() -> None:
    refused(
        lambda: locate("alice/toy", cache_dir="~nobody-of-this-name/cache", local_files_only=True),
        "not in the cache (~nobody-of-this-name",
        by=PretrainedError,
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("alice/none", ["'alice/none@main'", "no such repo", "private", "HF_TOKEN"]),
        ("alice/toy@v9", ["'v9'", "main, v1"]),
        ("alice/toy@1234567", ["full commit hash"]),
    ],
)
@pytest.mark.usefixtures("commits")
def test_unknown_names_say_what_there_is(client: HubClient, tmp_path: Path, name: str, words: list[str]) -> None:
    refused(lambda: load(client, 1, name, tmp_path), "PretrainedError: ", *words, by=ClientError)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"config.json": "{}", "pytorch_model.bin": "x"}, ["pytorch_model.bin", "safetensors", "run code"]),
        ({"model.safetensors": "x"}, ["no config.json"]),
        ({"README.md": "hello"}, ["no config.json and no model.safetensors"]),
        ({"config.json": '{"_class_name": "UNet2DModel"}', "model.safetensors": "x"}, ["diffusers", "sngan-cond"]),
    ],
)
def test_foreign_repos(client: HubClient, tmp_path: Path, files: dict[str, str], words: list[str]) -> None:
    name = f"alice/foreign-{'-'.join(sorted(files))}-{len(files['config.json']) if 'config.json' in files else 0}"
    upload = """
api = HfApi()
api.create_repo(name, exist_ok=True)
api.create_commit(name, [CommitOperationAdd(k, v.encode()) for k, v in files.items()], commit_message='x')
"""
    client.run(SETUP + upload, seed=1, name=name, files=files)
    refused(lambda: load(client, 1, name, tmp_path), "PretrainedError: ", *words, by=ClientError)


@pytest.mark.usefixtures("commits")
def test_passing_failures_are_ridden_out(hub: HubStandIn, client: HubClient, tmp_path: Path) -> None:
    hub.random.seed(0)
    before = len(hub.requests)
    hub.fail_rate = 0.3
    try:
        assert load(client, 2, "alice/toy", tmp_path)[0]
    finally:
        hub.fail_rate = 0.0
    assert any(status >= 500 for _, _, status in hub.requests[before:])


@pytest.mark.slow
def test_a_hub_that_fails_is_asked_once_where_the_cache_serves(
    hub: HubStandIn, client: HubClient, commits: list[str], tmp_path: Path
) -> None:
    load(client, 2, "alice/toy", tmp_path / "full")
    before = len(hub.requests)
    hub.fail_rate = 1.0
    try:
        assert load(client, 2, "alice/toy", tmp_path / "full")[:2] == [True, commits[1]]
        assert len(hub.requests) == before + 1
        refused(lambda: load(client, 2, "alice/toy", tmp_path / "empty"), "answers with status 50", by=ClientError)
        assert len(hub.requests) == before + 5
    finally:
        hub.fail_rate = 0.0


def test_what_the_client_has_tried_again_is_not_tried_again() -> None:
    tries = itertools.count()

    def download() -> None:
        next(tries)
        raise LocalEntryNotFoundError("after half a minute")

    with pytest.raises(LocalEntryNotFoundError):
        with_retries(download)
    assert next(tries) == 1


def test_cache_serves_while_the_hub_is_away(
    hub: HubStandIn, client: HubClient, commits: list[str], tmp_path: Path
) -> None:
    load(client, 2, "alice/toy", tmp_path / "full")
    hub.stop()
    try:
        assert load(client, 2, "alice/toy", tmp_path / "full")[:2] == [True, commits[1]]
        with pytest.raises(ClientError, match=r"HubUnavailableError: .* cannot be reached"):
            load(client, 2, "alice/toy", tmp_path / "empty")
    finally:
        hub.start()


@pytest.mark.slow
def test_a_damaged_file_of_the_cache_is_downloaded_again_when_asked(client: HubClient, tmp_path: Path) -> None:
    code = SETUP + "G.push_to_hub('alice/worn')\nresult = Generator.from_pretrained('alice/worn', cache_dir=cache)\n"
    client.run(code + "result = result.provenance.commit_hash", seed=9, cache=str(tmp_path))
    (weights,) = tmp_path.glob("*/snapshots/*/model.safetensors")
    weights.resolve().write_bytes(b"worn")
    refused(lambda: load(client, 9, "alice/worn", tmp_path), "download or save it again", by=ClientError)
    again = "Generator.from_pretrained('alice/worn', cache_dir=cache, force_download=True, local_files_only=only)"
    code = f"{SETUP}result = torch.equal({again}.network.linear.weight, G.network.linear.weight)"
    assert client.run(code, seed=9, cache=str(tmp_path), only=False)
    assert load(client, 9, "alice/worn", tmp_path)[0]
    words = "force_download=True while the network is off"
    refused(lambda: client.run(code, seed=9, cache=str(tmp_path), only=True), words, by=ClientError)


def test_files_are_of_one_commit_while_the_repo_moves(
    hub: HubStandIn, client: HubClient, commits: list[str], tmp_path: Path
) -> None:
    """Between the question which files there are and their download somebody pushes another model."""
    branches, asked = hub.store.repos["alice/toy"].branches, len(hub.requests)
    hub.before_download = lambda: branches.update(main=commits[0])
    try:
        expected = [True, commits[1], None, True]  # the other commit has metrics
        assert load(client, 2, "alice/toy", tmp_path) == expected
    finally:
        hub.before_download = lambda: None
        branches["main"] = commits[1]
    assert any("/resolve/" in path for _, path, _ in hub.requests[asked:])


@pytest.mark.parametrize("change", ["gated", "private", "deleted"])
def test_a_cached_branch_is_no_way_around_a_refusal(
    hub: HubStandIn, client: HubClient, tmp_path: Path, change: str
) -> None:
    name = f"alice/once-{change}"
    client.run(SETUP + "G.push_to_hub(name)", seed=6, name=name)
    with client.logged_in("hf_bob"):
        assert load(client, 6, name, tmp_path)[0]
        repo = hub.store.repos[name]
        repo.gated, repo.private = change == "gated", change == "private"
        if change == "deleted":
            del hub.store.repos[name]
        words = "the repo is gated: ask for access" if change == "gated" else "no such repo"
        with pytest.raises(ClientError, match=words):
            load(client, 6, name, tmp_path)
    if change == "gated":
        assert load(client, 6, name, tmp_path)[0]  # its owner


def test_a_download_that_breaks_off_leaves_the_older_commit_usable(
    hub: HubStandIn, client: HubClient, tmp_path: Path
) -> None:
    push = SETUP + "result = G.push_to_hub('alice/moving').oid"
    first = client.run(push, seed=7)
    assert load(client, 7, "alice/moving", tmp_path)[:2] == [True, first]
    second = client.run(push, seed=8)

    requests = itertools.count()

    def refuse() -> None:
        if next(requests) > 1:  # one file, asked about and sent, has arrived
            raise StoreError(403, None, "Forbidden")

    hub.before_download = refuse
    try:
        refused(lambda: load(client, 8, "alice/moving", tmp_path), "the Hub forbids it (status 403)", by=ClientError)
    finally:
        hub.before_download = lambda: None
    (broken,) = tmp_path.glob(f"*/snapshots/{second}")
    assert list(broken.iterdir())
    hub.stop()
    try:
        assert load(client, 7, "alice/moving", tmp_path)[:2] == [True, first]
    finally:
        hub.start()


READ_ONLY = """
import errno, sys
on = [True]
def refuse(event, values):
    writes = event == "os.mkdir" or (event == "open" and values[2] & (os.O_WRONLY | os.O_RDWR))
    if on and writes and str(values[0]).startswith(cache):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), values[0])
sys.addaudithook(refuse)
try:
    result = [load_generator(name, cache_dir=cache).commit_hash for name in names]
finally:
    on.clear()
"""
FULL = """
from tests.full_disk import files_of_at_most
with files_of_at_most(0):
    result = load_generator("alice/toy", cache_dir=cache).commit_hash
"""


def test_a_cache_that_cannot_be_written_serves_and_keeps_its_note(
    hub: HubStandIn, client: HubClient, commits: list[str], tmp_path: Path
) -> None:
    for seed, name in ((1, f"alice/toy@{commits[0]}"), (2, "alice/toy")):
        assert load(client, seed, name, tmp_path)[0]
    values = {"seed": 1, "cache": str(tmp_path)}
    assert client.run(SETUP + READ_ONLY, names=["alice/toy", "alice/toy@v1"], **values) == commits[::-1]
    branches = hub.store.repos["alice/toy"].branches
    branches["main"] = commits[0]
    try:
        assert client.run(SETUP + FULL, **values) == commits[0]
    finally:
        branches["main"] = commits[1]
    (note,) = tmp_path.glob("*/refs/*")
    assert (note.name, note.read_text()) == ("main", commits[1])


def test_local_files_only_asks_nobody(hub: HubStandIn, client: HubClient, commits: list[str], tmp_path: Path) -> None:
    code = f"{SETUP}result = Generator.from_pretrained('alice/toy', cache_dir=cache, local_files_only=only)"
    code += ".provenance.commit_hash"
    client.run(code, seed=2, cache=str(tmp_path / "full"), only=False)
    before = len(hub.requests)
    assert client.run(code, seed=2, cache=str(tmp_path / "full"), only=True) == commits[1]
    with pytest.raises(ClientError, match="not in the cache"):
        client.run(code, seed=2, cache=str(tmp_path / "empty"), only=True)
    assert len(hub.requests) == before


@pytest.mark.slow
def test_offline_mode(hub: HubStandIn, client: HubClient, commits: list[str], tmp_path: Path) -> None:
    load(client, 2, "alice/toy", tmp_path / "full")
    before = len(hub.requests)
    environment = {**hub.environment(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    with HubClient(environment, tmp_path / "log.txt") as offline:
        assert load(offline, 2, "alice/toy", tmp_path / "full")[:2] == [True, commits[1]]
        with pytest.raises(ClientError, match=r"not in the cache .*HF_HUB_OFFLINE=1"):
            load(offline, 2, "alice/toy", tmp_path / "empty")
    assert len(hub.requests) == before


@pytest.mark.parametrize(("architecture", "side"), [("resnet", 32), ("cnn", 32), ("mnist", 28)])
def test_loading_does_not_wake_the_compiler(client: HubClient, tmp_path: Path, architecture: str, side: int) -> None:
    """Random initialisation on the meta device imports torch._dynamo, which takes seconds."""
    code = """
import sys
config = GeneratorConfig(architecture=architecture, resolution=side, channels=4, num_classes=2)
Generator(config).save_pretrained(folder)
Generator.from_pretrained(folder)
result = "torch._dynamo" in sys.modules
"""
    assert not client.run(SETUP + code, seed=1, architecture=architecture, side=side, folder=str(tmp_path / "m"))
