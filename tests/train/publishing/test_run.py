"""A training run that publishes, against a Hub that fails half its requests, dies, and returns."""

import json
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sngan_cond import Generator, sample
from tests.hub.client import ClientError, HubClient
from tests.hub.folders import make_discriminator
from tests.hub.stand_in import HubStandIn
from tests.processes import run, started, wait_for
from tests.refusals import refused
from tests.train.launch import ONE, tiny_command
from tests.train.publishing.published_run import METRICS, add_checkpoint
from train.files import sha256

LOAD = """
from safetensors.torch import save_file
from sngan_cond import sample
from sngan_cond.loading import load_generator

model = load_generator(name, cache_dir=cache)
images = sample(model.generator, classes=list(range(10)), seed=5)
save_file({"images": images.contiguous(), **model.generator.state_dict()}, out)
result = [model.commit_hash, model.step, model.card.splitlines()[0]]
"""


PUBLISH_ONCE = """
from pathlib import Path
from train.publishing.log import publish_once
from train.publishing.export import export_checkpoint

export_checkpoint(Path(checkpoint), Path(outbox), run_dir=Path(checkpoint).parents[1])
result = publish_once(Path(outbox), 4, repo="alice/twice", private=False)
"""


@pytest.mark.slow
def test_a_run_publishes_through_failures_and_an_outage(hub: HubStandIn, tiny_data: Path, tmp_path: Path) -> None:
    train = tiny_command(tiny_data, tmp_path / "run", "hub.repo=alice/tiny", "hub.every=2", "keep_checkpoints=5")
    train = [*ONE, "--cpu", *train[1:]]
    environment = hub.environment(tmp_path / "home") | {"HF_HUB_DOWNLOAD_TIMEOUT": "5"}
    hub.random.seed(0)
    hub.fail_rate = 0.2
    with started(train, tmp_path / "log.txt", env=environment) as process:
        wait_for(lambda: "alice/tiny" in hub.store.repos and "Step 2" in hub.titles("alice/tiny"), process)
        hub.stop()
        time.sleep(3)
        hub.start()
        assert process.wait(240) == 0
        assert hub.titles("alice/tiny") == ["Step 6", "Step 4", "Step 2", "initial commit"]
    hub.fail_rate = 0.0
    assert any(status >= 500 for _, _, status in hub.requests)
    files = [tmp_path / "log.txt", *(path for path in (tmp_path / "run").rglob("*") if path.is_file())]
    assert not any("hf_alice" in path.read_text(errors="replace") for path in files)

    steps = {commit.title: oid for oid, commit in hub.store.repos["alice/tiny"].history("main")}
    with HubClient(hub.environment(tmp_path / "reader", token=None), tmp_path / "reader.txt") as reader:
        for step, revision in ((6, "main"), (4, steps["Step 4"]), (2, steps["Step 2"])):
            out = tmp_path / f"{step}.safetensors"
            load = {"name": f"alice/tiny@{revision}", "cache": str(tmp_path / f"cache-{step}"), "out": str(out)}
            assert reader.run(LOAD, **load) == [steps[f"Step {step}"], step, "---"]
            _same(load_file(out), tmp_path / "run/checkpoints" / f"step-{step:08d}")

    run(train, **environment)
    assert len(hub.titles("alice/tiny")) == 4


@pytest.mark.slow
def test_a_step_is_sent_once_though_its_note_is_lost_and_other_weights_are_sent(
    hub: HubStandIn, client: HubClient, tmp_path: Path
) -> None:
    """The Hub is asked for title and weights, whatever `published.json` says: see `test_no_step_is_sent_twice`."""
    first, other = add_checkpoint(tmp_path / "a", 4), add_checkpoint(tmp_path / "b", 4, seed=5)
    send = {"outbox": str(tmp_path / "outbox")}
    oid = client.run(PUBLISH_ONCE, checkpoint=str(first), **send)
    assert client.run(PUBLISH_ONCE, checkpoint=str(first), **send) == oid
    assert hub.titles("alice/twice") == ["Step 4", "initial commit"]
    again = client.run(PUBLISH_ONCE, checkpoint=str(other), **send)
    assert again != oid
    assert hub.titles("alice/twice") == ["Step 4", "Step 4", "initial commit"]
    assert client.run(PUBLISH_ONCE, checkpoint=str(first), **send) == oid  # and the newer one stays on top
    assert hub.store.repos["alice/twice"].branches["main"] == again


START = """
from pathlib import Path
from sngan_cond import Generator
from train.publishing.export import export_checkpoint
from train.publishing.log import publish_once
from train.trainer.start import open_model

export_checkpoint(Path(checkpoint), Path(outbox), run_dir=Path(checkpoint).parents[1], with_discriminator=True)
oid = publish_once(Path(outbox), 4, repo="alice/start", private=False)
model = open_model(f"alice/start@{oid}", Generator.from_pretrained(checkpoint).config)
result = [oid, model.facts, model.discriminator is not None]
"""


@pytest.mark.slow
def test_another_run_starts_from_what_was_published(client: HubClient, tmp_path: Path) -> None:
    checkpoint = add_checkpoint(tmp_path / "run", 4)
    oid, facts, has_discriminator = client.run(START, checkpoint=str(checkpoint), outbox=str(tmp_path / "outbox"))
    assert has_discriminator
    assert (facts["source"], facts["repo"], facts["commit"], facts["step"]) == (
        f"alice/start@{oid}",
        "alice/start",
        oid,
        4,
    )
    assert facts["sha256"] == {
        name: sha256(checkpoint / name) for name in ("model.safetensors", "discriminator.safetensors")
    }


SCORE = """
import torch
from sngan_cond import Discriminator

D = Discriminator.from_pretrained("alice/toy", cache_dir=cache)
score = D(torch.ones(1, 3, 32, 32), [2]).score.item()
result = [D.provenance.commit_hash, D.constraint.to_dict(), score]
"""


@pytest.mark.slow
def test_the_command_sends_a_step_and_its_later_metrics(hub: HubStandIn, client: HubClient, tmp_path: Path) -> None:
    add_checkpoint(tmp_path / "run", 4)
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    options = ["--run-dir", str(tmp_path / "run"), "--repo", "alice/toy", "--private"]
    publish = "from train.publish import main\nresult = main(options)"
    for more, commits in (([], 1), ([], 1), (["--metrics", str(tmp_path / "metrics.json")], 2)):
        assert client.run(publish, options=[*options, *more]) == 0
        assert hub.titles("alice/toy") == ["Step 4"] * commits + ["initial commit"]
    repo = hub.store.repos["alice/toy"]
    assert repo.private
    head = repo.branches["main"]
    assert {"metrics.json", "README.md", "training.json", "samples.png"} <= repo.commits[head].files.keys()
    assert json.loads((tmp_path / "run/published.json").read_text()) == {"alice/toy": {"4": head}}
    refused(lambda: client.run(SCORE, cache=str(tmp_path / "cache")), "no discriminator.safetensors", by=ClientError)
    assert client.run(publish, options=[*options, "--branch", "v/1"]) == 0
    assert repo.branches.keys() == {"main", "v/1"}
    assert client.run(publish, options=[*options, "--with-discriminator"]) == 0
    commit, constraint, score = client.run(SCORE, cache=str(tmp_path / "cache"))
    assert commit == repo.branches["main"]
    assert "discriminator.safetensors" in repo.commits[commit].files
    D = make_discriminator()
    assert constraint == D.constraint.to_dict() | {"exclude": []}
    assert score == D(torch.ones(1, 3, 32, 32), [2]).score.item()
    with client.logged_in("hf_bob"):
        assert client.run(publish, options=options) == 2
    log = client.log.read_text()
    assert "error: repo='alice/toy': the Hub forbids it" in log
    assert "Traceback" not in log
    assert "hf_bob" not in log


def _same(found: dict[str, torch.Tensor], checkpoint: Path) -> None:
    """Compare what came from the Hub with the averaged generator that training saved, bit for bit."""
    images = found.pop("images")
    trained = load_file(checkpoint / "model.safetensors")
    assert found.keys() == trained.keys()
    assert all(torch.equal(found[name], trained[name]) for name in trained)
    raw = load_file(checkpoint / "generator.safetensors")
    differs = any(not torch.equal(raw[name], trained[name]) for name in trained)
    assert differs == (checkpoint.name != "step-00000002"), "the average copies for two steps, and then is another"
    assert torch.equal(images, sample(Generator.from_pretrained(checkpoint), classes=list(range(10)), seed=5))
