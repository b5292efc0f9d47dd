"""Pushing a model folder to the Hub, in one commit."""

from pathlib import Path

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

from sngan_cond.hub import patience
from sngan_cond.hub.errors import HUB_ERRORS, check_commit, pretrained_error, with_retries
from sngan_cond.hub.files import CONFIG_FILE, MODEL_FILES, WEIGHTS_FILE, PretrainedError, parse_repo, parse_revision
from sngan_cond.validation import short_repr

PUSH_S, PUSH_BYTES_S = 600.0, 100_000.0  # what a push may take: so long, and its files at this rate


def push_folder(
    folder: Path,
    repo: str,
    *,
    title: str,
    description: str = "",
    branch: str | None = None,
    private: bool | None = None,
    token: str | None = None,
) -> CommitInfo:
    """Push a model folder to the Hub as one commit, so that nobody ever sees half of it.

    A model file that the repo has and the folder lacks is deleted, since it describes other weights. Files of other
    names are neither sent nor touched.

    Args:
        folder: as `save_pretrained` writes it.
        repo: as for `Generator.push_to_hub`, like those not named here.
        title: first line of the commit's message.
        description: the rest of the message.
    Returns:
        The commit; `oid` is its full hash.
    Raises:
        PretrainedError: if the folder is no model, or the Hub refuses or does not answer.
    """
    parse_repo(repo)
    names = [name for name in MODEL_FILES if (folder / name).is_file()]
    if CONFIG_FILE not in names or WEIGHTS_FILE not in names:
        raise PretrainedError(f"{folder}: no model folder, which has {CONFIG_FILE} and {WEIGHTS_FILE}")
    revision = None if branch is None else parse_revision(branch)
    api = HfApi(token=token)

    def commit() -> CommitInfo:
        remote = api.list_repo_files(repo, revision=revision)
        stale = [name for name in MODEL_FILES if name in remote and name not in names]
        # New operations at each try. The client compares an operation's file with the repo once: where the commit was
        # made and only its answer got lost, new ones see that nothing is left to do, and no second commit is made.
        additions = [CommitOperationAdd(name, str(folder / name)) for name in names]
        for addition in additions:  # several at once the client sends from threads of its own, which know no limit
            api.preupload_lfs_files(repo, [addition], revision=revision, free_memory=False)
        made = api.create_commit(
            repo,
            [*additions, *(CommitOperationDelete(name) for name in stale)],
            commit_message=title,
            commit_description=description,
            revision=revision,
        )
        check_commit(made.oid)
        return made

    def push() -> CommitInfo:
        with_retries(lambda: api.create_repo(repo, private=private, exist_ok=True))
        if revision not in (None, "main"):
            with_retries(lambda: api.create_branch(repo, branch=str(revision), exist_ok=True))
        return with_retries(commit)

    size = sum((folder / name).stat().st_size for name in names)
    try:
        return patience.within(PUSH_S + size / PUSH_BYTES_S, push)
    except HUB_ERRORS as error:
        raise pretrained_error(f"repo={short_repr(repo)}", error) from error


def find_commit(repo: str, *, title: str, containing: str) -> str | None:
    """Look for an earlier commit of the branch "main"; the client alone decides whether to try again.

    Args:
        repo: "user/name".
        title: first line of its message, exactly.
        containing: part of its description.
    Returns:
        Its full hash, or None where there is no such commit or repo.
    Raises:
        PretrainedError: if the Hub refuses or does not answer.
    """
    parse_repo(repo)

    def find() -> str | None:
        for commit in HfApi().list_repo_commits(repo):
            if commit.title == title and containing in (commit.message or ""):
                return check_commit(commit.commit_id)
        return None

    try:
        return patience.within(patience.SILENCE_S, lambda: with_retries(find, again=False))
    except (RepositoryNotFoundError, RevisionNotFoundError):
        return None
    except HUB_ERRORS as error:
        raise pretrained_error(f"repo={short_repr(repo)}", error) from error
