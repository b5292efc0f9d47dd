"""Which step went to which repo: noted in the run's folder, and asked of the Hub before anything is sent."""

import json
from pathlib import Path
from typing import Annotated

from pydantic import Field

from sngan_cond.hub.checkpoints import unreadable_now
from sngan_cond.hub.files import WEIGHTS_FILE, PretrainedError
from sngan_cond.hub.upload import find_commit, push_folder
from sngan_cond.hub.weights import read_header
from train.errors import TrainError
from train.files import write_text_atomically
from train.publishing.cards import GENERIC, load_facts
from train.publishing.export import commit_message, write_card
from train.run.lost import PUBLISHED_FILE
from train.stored import read_as

_Step = Annotated[str, Field(pattern="^[0-9]{1,18}$")]


class PublishLog:
    """`published.json` of a run: which step went to which repo, in which commit."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / PUBLISHED_FILE
        try:
            self._commits = read_as(dict[str, dict[_Step, str]], self._path) if self._path.exists() else {}
        except TrainError as error:
            raise TrainError(f"{error}; remove it to publish again") from error

    def commit(self, target: str, step: int) -> str | None:
        """Return the hash of a step's commit, None if it was not published."""
        return self._commits.get(target, {}).get(str(step))

    def note(self, target: str, step: int, commit: str) -> None:
        """Record a commit, on disk before this returns; what cannot be written is not recorded."""
        commits = self._commits | {target: self._commits.get(target, {}) | {str(step): commit}}
        write_text_atomically(self._path, json.dumps(commits, indent=2) + "\n")
        self._commits = commits

    def forget(self, step: int) -> None:
        """Drop what was recorded of later steps."""
        kept = {repo: {s: c for s, c in steps.items() if int(s) <= step} for repo, steps in self._commits.items()}
        if kept != self._commits:
            write_text_atomically(self._path, json.dumps(kept, indent=2) + "\n")
            self._commits = kept


class UnfitExportError(TrainError):
    """An exported checkpoint that no Hub would take, now or later."""


def publish_once(folder: Path, step: int, *, repo: str, private: bool) -> str:
    """Send one exported checkpoint, unless the Hub has these weights of this step already.

    Args:
        folder: made by `export_checkpoint`.
        repo: as for `push_folder`, like `private`.
    Returns:
        Full hash of the commit.
    Raises:
        PretrainedError: if the Hub refuses or does not answer.
        UnfitExportError: if the export is damaged.
        TrainError: if the system cannot read the export now.
        OSError: if the card cannot be written.
    """
    facts = load_facts(GENERIC)
    try:
        read_header(folder / WEIGHTS_FILE)
        write_card(folder, repo=repo, facts=facts)
    except (TrainError, PretrainedError) as error:
        if (system := unreadable_now(error)) is not None:
            where, reason = system.filename or folder, system.strerror or system
            raise TrainError(f"{where}: cannot be read now ({reason}), which may pass") from error
        raise UnfitExportError(str(error)) from error
    title, marker = commit_message(folder, step)
    # Also after an answer that got lost: the commit was made, and is not made again.
    known = find_commit(repo, title=title, containing=marker)
    return known or str(push_folder(folder, repo, title=title, description=marker, private=private).oid)
