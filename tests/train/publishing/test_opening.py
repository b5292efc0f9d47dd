"""Who opens a publisher, and what is refused before anything is sent."""

from pathlib import Path

import pytest

from tests.train.launch import refused_run, tiny_command
from train.errors import TrainError
from train.publishing.export import export_checkpoint
from train.publishing.publisher import open_publisher
from train.sections import HubConfig


@pytest.mark.parametrize(
    ("repo", "words"),
    [
        ("https://x/y", "user/name is allowed; URLs are not"),
        ("name", "user/name is allowed"),
        ("a/b/c", "user/name is allowed"),
        ("user/näme", "user/name is allowed"),
        ("user/na..me", "Cannot have -- or .. in repo_id"),
        ("us--er/name", "Cannot have -- or .. in repo_id"),
        ("user/name.git", "cannot end by '.git'"),
        ("user/name-", "cannot start or end with '-' or '.'"),
        ("user/" + "n" * 97, "user/name is allowed"),
    ],
)
def test_a_repo_that_the_hub_would_refuse_is_refused_before_the_run(tmp_path: Path, repo: str, words: str) -> None:
    refused_run(tiny_command(tmp_path / "none", tmp_path / "run", f"hub.repo={repo}"), f"hub.repo='{repo[:20]}", words)
    assert not (tmp_path / "run").exists()


def test_only_the_main_process_publishes(run_dir: Path) -> None:
    def say(line: str) -> None:
        raise AssertionError(line)

    assert open_publisher(HubConfig(), run_dir, is_main=True, log=say) is None
    assert open_publisher(HubConfig(repo="user/name"), run_dir, is_main=False, log=say) is None


@pytest.mark.parametrize("repo", [None, "user/new"])
def test_what_was_to_go_elsewhere_is_named_and_removed(run_dir: Path, repo: str | None) -> None:
    """Else its weights, which the outbox shares with checkpoints long gone, would fill the disk for ever."""
    for step in (2, 4):
        folder = run_dir / f"outbox/user--old/step-{step:08d}"
        export_checkpoint(run_dir / f"checkpoints/step-{step:08d}", folder, run_dir=run_dir)
    (run_dir / "published.json").write_text('{"user/old": {"2": "%s"}}' % ("a" * 40))
    said: list[str] = []
    publisher = open_publisher(HubConfig(repo=repo), run_dir, is_main=True, log=said.append)
    assert (publisher is None) == (repo is None)
    if publisher is not None:
        assert publisher.close()
    (line,) = said
    assert line.startswith("not published to user/old: step 4; ")
    assert not (run_dir / "outbox/user--old").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "a JSON object is expected"),
        ('{"user/name": 3}', "user/name is 3; allowed is an object"),
        ('{"user/name": {"2": 3}}', r"user/name\.2 is 3; allowed is a string"),
    ],
)
def test_a_damaged_log_is_told_before_anything_is_sent(run_dir: Path, text: str, words: str) -> None:
    (run_dir / "published.json").write_text(text)
    with pytest.raises(TrainError, match=rf"published\.json: {words}.*; remove it to publish again"):
        open_publisher(HubConfig(repo="user/name"), run_dir, is_main=True, log=print)
