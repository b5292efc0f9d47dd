"""Sending a model folder to the Hub, in one commit."""

from pathlib import Path

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

from sngan_cond.hub.download import PUSH_ERRORS, explain, is_outage, patiently
from sngan_cond.hub.files import (
    CONFIG_FILE,
    MODEL_FILES,
    WEIGHTS_FILE,
    HubUnavailableError,
    PretrainedError,
    parse_repo,
    parse_revision,
    short_repr,
)


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
    """Send a model folder to the Hub as one commit, so that nobody ever sees half of it.

    Of the model's files the repo's older ones go where the folder has none; files of other names are neither sent
    nor touched.

    Args:
        folder: what `save_pretrained` wrote.
        repo: "user/name"; made if missing.
        title: of the commit.
        description: of the commit.
        branch: made if missing; None takes "main".
        private: whether a repo that is made is private.
        token: None takes the login's, or HF_TOKEN.
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
    try:
        patiently(lambda: api.create_repo(repo, private=private, exist_ok=True))
        if revision not in (None, "main"):
            patiently(lambda: api.create_branch(repo, branch=str(revision), exist_ok=True))
        remote = patiently(lambda: api.list_repo_files(repo, revision=revision))
        stale = [name for name in MODEL_FILES if name in remote and name not in names]

        def commit() -> CommitInfo:
            # Made anew at each try: the client compares files with the repo once for each operation, and so sees
            # that nothing is left to do where the commit was made and only its answer got lost.
            additions = [CommitOperationAdd(name, str(folder / name)) for name in names]
            return api.create_commit(
                repo,
                [*additions, *(CommitOperationDelete(name) for name in stale)],
                commit_message=title,
                commit_description=description,
                revision=revision,
            )

        return patiently(commit)
    except PUSH_ERRORS as error:
        raise _error(repo, error) from error


def find_commit(
    repo: str, *, title: str, containing: str, branch: str | None = None, token: str | None = None
) -> str | None:
    """Look for a commit that was made before.

    Args:
        repo: "user/name".
        title: of the commit.
        containing: what its description holds.
        branch: None takes "main".
        token: None takes the login's, or HF_TOKEN.
    Returns:
        Its full hash, or None.
    Raises:
        PretrainedError: if the Hub refuses or does not answer.
    """
    try:
        commits = patiently(lambda: HfApi(token=token).list_repo_commits(parse_repo(repo), revision=branch))
    except (RepositoryNotFoundError, RevisionNotFoundError):
        return None
    except PUSH_ERRORS as error:
        raise _error(repo, error) from error
    return next((c.commit_id for c in commits if c.title == title and containing in (c.message or "")), None)


def _error(repo: str, error: BaseException) -> PretrainedError:
    kind = HubUnavailableError if is_outage(error) else PretrainedError
    return kind(f"repo={short_repr(repo)}: {explain(error)}")
