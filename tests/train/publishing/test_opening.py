"""Who opens a publisher, and what is refused before anything is sent."""

from pathlib import Path

import pytest

from train.errors import TrainError
from train.publishing.publisher import open_publisher
from train.sections import HubConfig


def test_only_the_main_process_publishes_and_all_refuse_a_wrong_name(run_dir: Path) -> None:
    def say(line: str) -> None:
        raise AssertionError(line)

    assert open_publisher(HubConfig(), run_dir, is_main=True, log=say) is None
    assert open_publisher(HubConfig(repo="user/name"), run_dir, is_main=False, log=say) is None
    for is_main in (True, False):
        with pytest.raises(TrainError, match=r"hub\.repo='https"):
            open_publisher(HubConfig(repo="https://x/y"), run_dir, is_main=is_main, log=say)


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
