"""What a push leaves on the Hub: one commit, of these files, for those who may."""

from pathlib import Path

import pytest

from tests.hub.client import ClientError, HubClient
from tests.hub.stand_in import HubStandIn
from tests.sngan_cond.hub.session import ROWS, SETUP, load


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


def test_private_repo_and_tokens(client: HubClient, tmp_path: Path) -> None:
    push = SETUP + "G.push_to_hub('alice/secret', private=True)"
    client.run(push, seed=3)
    assert load(client, 3, "alice/secret", tmp_path / "a")[0]
    for user, words in (("hf_bob", "or a private one"), ("hf_nobody", "does not accept the login")):
        with client.logged_in(user), pytest.raises(ClientError, match=words) as error:
            load(client, 3, "alice/secret", tmp_path / user)
        assert user not in str(error.value)
    with client.logged_in("hf_bob"), pytest.raises(ClientError, match="forbids it"):
        client.run(push.replace("secret", "toy"), seed=3)


def test_lost_answers_make_no_second_commit(hub: HubStandIn, client: HubClient) -> None:
    """Also where the commit deleted a file, which the next try finds gone."""
    push = SETUP + "G.push_to_hub('alice/once', commit_message=title, metrics=metrics)"
    client.run(push, seed=4, title="first", metrics={"metrics": ROWS})
    hub.lose_answers = 1
    client.run(push, seed=5, title="once", metrics=None)
    assert hub.lose_answers == 0
    assert hub.titles("alice/once") == ["once", "first", "initial commit"]


@pytest.mark.usefixtures("commits")
def test_push_into_a_branch(hub: HubStandIn, client: HubClient) -> None:
    oid = client.run(SETUP + "result = G.push_to_hub('alice/toy', branch='wide/x', commit_message='b').oid", seed=5)
    repo = hub.store.repos["alice/toy"]
    assert repo.branches["wide/x"] == oid
    again = SETUP + "result = G.push_to_hub('alice/toy', branch='wide/x', commit_message='b', metrics=metrics).oid"
    assert "metrics.json" in repo.commits[client.run(again, seed=5, metrics={"metrics": ROWS})].files
    assert "metrics.json" not in repo.commits[client.run(again, seed=6, metrics=None)].files  # of the branch, not main
    assert hub.titles("alice/toy")[0] == "seed 2"


def test_samples_come_with_a_repo(hub: HubStandIn, client: HubClient, tmp_path: Path) -> None:
    (tmp_path / "grid.png").write_bytes(b"an image")
    code = """
G.push_to_hub('alice/sampled', samples=samples)
model = load_generator('alice/sampled', cache_dir=cache)
result = [model.samples.read_text(), model.card]
"""
    found, card = client.run(SETUP + code, seed=9, samples=str(tmp_path / "grid.png"), cache=str(tmp_path / "cache"))
    assert found == "an image"
    assert (
        f"![Samples]({hub.url}/alice/sampled/resolve/main/samples.png)" in card
    )  # absolute: cards are shown elsewhere


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
