"""Loading from and pushing to a Hub, with the real client and the loopback Hub."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub_client import ClientError, HubClient
from tests.hub_stand_in import HubStandIn
from tests.hub_store import StoreError

SETUP = """
import os, torch
from pathlib import Path
from huggingface_hub import CommitOperationAdd, HfApi
from sngan_cond import Generator, GeneratorConfig
from sngan_cond.loading import load_generator

torch.manual_seed(seed)
G = Generator(GeneratorConfig(resolution=32, channels=4, num_classes=3, latent_dim=8)).eval()
"""
# A load into an empty cache; the result is whether the weights are those that the seed gives, and what was loaded.
LOAD = (
    SETUP
    + """
model = load_generator(name, revision=revision, cache_dir=cache)
same = all(torch.equal(a, b) for a, b in zip(G.state_dict().values(), model.generator.state_dict().values()))
result = [same, model.commit_hash, model.metrics, model.card is not None]
"""
)
ROWS = [{"name": "toy", "value": 1.5, "protocol": "p", "extractor": "e", "seed": 0}]


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


def test_each_push_is_one_commit(hub: HubStandIn, commits: list[str]) -> None:
    assert hub.titles("alice/toy") == ["seed 2", "seed 1", "initial commit"]
    repo = hub.store.repos["alice/toy"]
    assert sorted(repo.commits[commits[0]].files) == [
        ".gitattributes",
        "README.md",
        "config.json",
        "metrics.json",
        "model.safetensors",
    ]
    assert "metrics.json" not in repo.commits[commits[1]].files  # they were the other weights'


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
    same, commit, metrics, card = client.run(LOAD, seed=which + 1, name=name, revision=revision, cache=str(tmp_path))
    assert (same, commit, card) == (True, commits[which], True)
    assert metrics == ({"metrics": ROWS} if which == 0 else None)


def test_full_hash_is_loaded_without_the_network_once_cached(
    hub: HubStandIn, client: HubClient, commits: list[str], tmp_path: Path
) -> None:
    load = f"Generator.from_pretrained('alice/toy', revision={commits[0]!r}, cache_dir={str(tmp_path)!r})"
    client.run(SETUP + load, seed=1)
    before = len(hub.requests)
    assert client.run(f"{SETUP}result = {load}.provenance.commit_hash", seed=1) == commits[0]
    assert len(hub.requests) == before
    # What a plain load left out is fetched when it is asked for, and lies in the same folder.
    name = f"alice/toy@{commits[0]}"
    expected = [True, commits[0], {"metrics": ROWS}, True]
    assert client.run(LOAD, seed=1, name=name, revision=None, cache=str(tmp_path)) == expected


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
    with pytest.raises(ClientError) as error:
        client.run(LOAD, seed=1, name=name, revision=None, cache=str(tmp_path))
    assert error.value.name == "PretrainedError"
    assert all(word in error.value.message for word in words), error.value.message
    assert "\n" not in error.value.message


def test_private_repo_and_tokens(client: HubClient, tmp_path: Path) -> None:
    push = SETUP + "G.push_to_hub('alice/secret', private=True)"
    client.run(push, seed=3)
    load = {"seed": 3, "name": "alice/secret", "revision": None}
    assert client.run(LOAD, **load, cache=str(tmp_path / "a"))[0]
    for user, words in (("hf_bob", "or a private one"), ("hf_nobody", "does not accept the login")):
        with token(client, user), pytest.raises(ClientError, match=words) as error:
            client.run(LOAD, **load, cache=str(tmp_path / user))
        assert user not in error.value.message
    with token(client, "hf_bob"), pytest.raises(ClientError, match="forbids it"):
        client.run(push.replace("secret", "toy"), seed=3)


@contextlib.contextmanager
def token(client: HubClient, value: str) -> Iterator[None]:
    """Let the client be another user for a while."""
    become = "import os\nos.environ['HF_TOKEN'] = token"
    client.run(become, token=value)
    try:
        yield
    finally:
        client.run(become, token="hf_alice")


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
    with pytest.raises(ClientError) as error:
        client.run(LOAD, seed=1, name=name, revision=None, cache=str(tmp_path))
    assert error.value.name == "PretrainedError"
    assert all(word in error.value.message for word in words), error.value.message


@pytest.mark.usefixtures("commits")
def test_passing_failures_are_ridden_out(hub: HubStandIn, client: HubClient, tmp_path: Path) -> None:
    hub.random.seed(0)
    before = len(hub.requests)
    hub.fail_rate = 0.3
    try:
        assert client.run(LOAD, seed=2, name="alice/toy", revision=None, cache=str(tmp_path))[0]
    finally:
        hub.fail_rate = 0.0
    assert any(status >= 500 for _, _, status in hub.requests[before:])


def test_lost_answers_make_no_second_commit(hub: HubStandIn, client: HubClient) -> None:
    client.run(SETUP + "HfApi().create_repo('alice/once')", seed=4)
    hub.lose_answers = 1
    client.run(SETUP + "G.push_to_hub('alice/once', commit_message='once')", seed=4)
    assert hub.lose_answers == 0
    assert hub.titles("alice/once") == ["once", "initial commit"]


@pytest.mark.usefixtures("commits")
def test_push_into_a_branch(hub: HubStandIn, client: HubClient) -> None:
    oid = client.run(SETUP + "result = G.push_to_hub('alice/toy', branch='wide/x', commit_message='b').oid", seed=5)
    repo = hub.store.repos["alice/toy"]
    assert repo.branches["wide/x"] == oid
    again = SETUP + "result = G.push_to_hub('alice/toy', branch='wide/x', commit_message='b', metrics=metrics).oid"
    assert "metrics.json" in repo.commits[client.run(again, seed=5, metrics={"metrics": ROWS})].files
    assert "metrics.json" not in repo.commits[client.run(again, seed=6, metrics=None)].files  # of the branch, not main
    assert hub.titles("alice/toy")[0] == "seed 2"


def test_cache_serves_while_the_hub_is_away(
    hub: HubStandIn, client: HubClient, commits: list[str], tmp_path: Path
) -> None:
    load = {"seed": 2, "name": "alice/toy", "revision": None}
    client.run(LOAD, **load, cache=str(tmp_path / "full"))
    hub.stop()
    try:
        assert client.run(LOAD, **load, cache=str(tmp_path / "full"))[:2] == [True, commits[1]]
        with pytest.raises(ClientError, match="cannot be reached") as error:
            client.run(LOAD, **load, cache=str(tmp_path / "empty"))
        assert error.value.name == "HubUnavailableError"
    finally:
        hub.start()


def test_files_are_of_one_commit_while_the_repo_moves(
    hub: HubStandIn, client: HubClient, commits: list[str], tmp_path: Path
) -> None:
    """Between the question which files there are and their download somebody pushes another model."""
    branches, asked = hub.store.repos["alice/toy"].branches, len(hub.requests)
    hub.before_download = lambda: branches.update(main=commits[0])
    try:
        expected = [True, commits[1], None, True]  # the other commit has metrics
        assert client.run(LOAD, seed=2, name="alice/toy", revision=None, cache=str(tmp_path)) == expected
    finally:
        hub.before_download = lambda: None
        branches["main"] = commits[1]
    assert any("/resolve/" in path for _, path, _ in hub.requests[asked:])


@pytest.mark.parametrize("change", ["gated", "private", "deleted"])
def test_a_cache_is_no_way_around_a_refusal(hub: HubStandIn, client: HubClient, tmp_path: Path, change: str) -> None:
    name = f"alice/once-{change}"
    client.run(SETUP + "G.push_to_hub(name)", seed=6, name=name)
    load = {"seed": 6, "name": name, "revision": None, "cache": str(tmp_path)}
    with token(client, "hf_bob"):
        assert client.run(LOAD, **load)[0]
        repo = hub.store.repos[name]
        repo.gated, repo.private = change == "gated", change == "private"
        if change == "deleted":
            del hub.store.repos[name]
        words = "the repo is gated: ask for access" if change == "gated" else "no such repo"
        with pytest.raises(ClientError, match=words):
            client.run(LOAD, **load)
    if change == "gated":
        assert client.run(LOAD, **load)[0]  # its owner


def test_a_download_that_breaks_off_leaves_the_older_commit_usable(
    hub: HubStandIn, client: HubClient, tmp_path: Path
) -> None:
    push = SETUP + "result = G.push_to_hub('alice/moving').oid"
    load = {"name": "alice/moving", "revision": None, "cache": str(tmp_path)}
    first = client.run(push, seed=7)
    assert client.run(LOAD, seed=7, **load)[:2] == [True, first]
    client.run(push, seed=8)

    def refuse() -> None:
        raise StoreError(403, None, "Forbidden")

    hub.before_download = refuse
    try:
        with pytest.raises(ClientError, match="cannot find the requested files"):
            client.run(LOAD, seed=8, **load)
    finally:
        hub.before_download = lambda: None
    hub.stop()
    try:
        assert client.run(LOAD, seed=7, **load)[:2] == [True, first]
    finally:
        hub.start()


def test_samples_come_with_a_repo(client: HubClient, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"a picture")
    code = """
G.push_to_hub('alice/pictured', samples=samples)
result = load_generator('alice/pictured', cache_dir=cache).samples.read_text()
"""
    found = client.run(SETUP + code, seed=9, samples=str(tmp_path / "picture.png"), cache=str(tmp_path / "cache"))
    assert found == "a picture"


def test_local_files_only_asks_nobody(hub: HubStandIn, client: HubClient, commits: list[str], tmp_path: Path) -> None:
    load = f"{SETUP}result = Generator.from_pretrained('alice/toy', cache_dir=cache, local_files_only=only)"
    load += ".provenance.commit_hash"
    client.run(load, seed=2, cache=str(tmp_path / "full"), only=False)
    before = len(hub.requests)
    assert client.run(load, seed=2, cache=str(tmp_path / "full"), only=True) == commits[1]
    with pytest.raises(ClientError, match="not in the cache"):
        client.run(load, seed=2, cache=str(tmp_path / "empty"), only=True)
    assert len(hub.requests) == before


@pytest.mark.slow
def test_offline_mode(hub: HubStandIn, client: HubClient, commits: list[str], tmp_path: Path) -> None:
    load = {"seed": 2, "name": "alice/toy", "revision": None}
    client.run(LOAD, **load, cache=str(tmp_path / "full"))
    before = len(hub.requests)
    environment = {**hub.environment(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    with HubClient(environment, tmp_path / "log.txt") as offline:
        assert offline.run(LOAD, **load, cache=str(tmp_path / "full"))[:2] == [True, commits[1]]
        with pytest.raises(ClientError, match=r"not in the cache .*HF_HUB_OFFLINE=1"):
            offline.run(LOAD, **load, cache=str(tmp_path / "empty"))
    assert len(hub.requests) == before


@pytest.mark.usefixtures("commits")
def test_what_a_card_says_is_what_the_hub_reads(client: HubClient) -> None:
    found = client.run(
        SETUP
        + """
info = HfApi().model_info('alice/toy', revision='v1')
row = info.card_data.eval_results[0]
result = [info.library_name, info.pipeline_tag, row.metric_value, row.metric_args]
""",
        seed=1,
    )
    assert found == [
        "sngan-cond",
        "unconditional-image-generation",
        1.5,
        {"protocol": "p", "extractor": "e", "seed": 0},
    ]


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
