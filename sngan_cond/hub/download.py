"""A model's files, from a folder or from one commit of a Hub repo."""

import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import ModelInfo

from sngan_cond.hub.errors import HUB_ERRORS, explain, is_outage, pretrained_error, with_retries
from sngan_cond.hub.files import (
    BUNDLED,
    BUNDLED_FOLDER,
    CONFIG_FILE,
    MAX_NAME,
    MAX_WEIGHTS_BYTES,
    MODEL_FILES,
    WEIGHTS_FILE,
    ModelFiles,
    PretrainedError,
    check_files,
    parse_repo,
    parse_revision,
)
from sngan_cond.validation import short_repr

_HASH = re.compile(r"[0-9a-f]{40}")

logger = logging.getLogger(__name__)


def locate(
    model: str | Path,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    extras: tuple[str, ...] = (),
    max_weights_bytes: int = MAX_WEIGHTS_BYTES,
) -> ModelFiles:
    """Find a model's files, downloading what the cache does not have.

    Args:
        model: "user/name", "user/name@revision", a folder, or "bundled" for the model inside this package.
        revision: branch, tag or full commit hash of a repo; None takes "main".
        token: for the Hub; None takes the login's, or HF_TOKEN.
        cache_dir: of the Hub's client; None takes its own.
        local_files_only: do not use the network.
        extras: optional files that are fetched where a repo has them.
        max_weights_bytes: larger weights are refused, those of a repo before they are downloaded.
    Returns:
        Folder with `config.json` and `model.safetensors`, all files of one commit.
    Raises:
        PretrainedError: saying what is missing and what to do.
    """
    name = os.fspath(model)
    if len(name) > MAX_NAME or "\0" in name:
        raise PretrainedError(f"model={short_repr(name)}: too long, or not a name")
    if name == BUNDLED and not BUNDLED_FOLDER.is_dir():
        raise PretrainedError(f"model={short_repr(name)}: this installation carries no model of its own")
    if name == BUNDLED or (name and os.path.isdir(name)):  # noqa: PTH112 - Path.is_dir raises where a name is too long
        return _folder(name, BUNDLED_FOLDER if name == BUNDLED else Path(name), revision, max_weights_bytes)
    repo, separator, named = name.partition("@")
    parse_repo(repo, argument="model")
    if separator and revision not in (None, named):
        raise PretrainedError(f"model={short_repr(name)} with revision={short_repr(revision)}: give the revision once")
    wanted = parse_revision(named if separator else "main" if revision is None else revision)
    hub = _Hub(repo, wanted, token, None if cache_dir is None else str(cache_dir), max_weights_bytes)
    return ModelFiles(name, *hub.fetch(extras, offline=local_files_only or constants.HF_HUB_OFFLINE))


def _folder(name: str, folder: Path, revision: str | None, max_weights_bytes: int) -> ModelFiles:
    if revision is not None:
        raise PretrainedError(f"revision={short_repr(revision)}: {short_repr(name)} is a folder, which has none")
    try:
        names = [path.name for path in folder.iterdir()]
        sizes = {own: (folder / own).stat().st_size for own in MODEL_FILES if own in names}
        check_files(name, names, dict(sizes), max_weights_bytes=max_weights_bytes)
    except OSError as error:
        raise PretrainedError(f"model={short_repr(name)}: the folder cannot be read ({error.strerror})") from error
    return ModelFiles(name, folder)


@dataclass(frozen=True)
class _Hub:
    """One revision of one repo, as the Hub and the client's cache know it."""

    repo: str
    revision: str
    token: str | bool | None
    cache_dir: str | None
    max_weights_bytes: int

    @property
    def source(self) -> str:
        return f"{self.repo}@{self.revision}"

    def fetch(self, extras: tuple[str, ...], *, offline: bool) -> tuple[Path, str, str]:
        """Return folder, repo and full commit hash."""
        cached = self._cached()
        # A commit never changes, so one in the cache needs no network. What a branch or tag means is asked every time;
        # the cache's last answer serves while the Hub is away.
        if cached is not None and (offline or (_HASH.fullmatch(self.revision) and self._is_complete(extras))):
            return cached
        if offline:
            raise PretrainedError(
                f"model={short_repr(self.source)}: not in the cache ({self._cache}), and the network is off "
                "(HF_HUB_OFFLINE=1 or local_files_only): load it once with the network, or unset it"
            )
        try:
            api = HfApi(token=self.token)
            info = with_retries(lambda: api.model_info(self.repo, revision=self.revision, files_metadata=True))
        except HUB_ERRORS as error:
            if cached is None or not is_outage(error):
                raise self._error(error) from error
            logger.warning("%s: the Hub does not answer; using commit %s of the cache", self.source, cached[2])
            return cached
        return self._download(info, extras)

    def _download(self, info: ModelInfo, extras: tuple[str, ...]) -> tuple[Path, str, str]:
        files = info.siblings or []
        sizes = {file.rfilename: file.size for file in files}
        check_files(self.source, list(sizes), sizes, max_weights_bytes=self.max_weights_bytes)
        # From here on by commit, not by branch: somebody may push between two downloads.
        assert info.sha is not None
        there = {file.rfilename for file in files}
        try:
            if info.gated:  # anybody may list a gated repo's files, and what the cache has is taken without a request
                config = hf_hub_url(self.repo, CONFIG_FILE, revision=info.sha)
                with_retries(lambda: HfApi(token=self.token).get_hf_file_metadata(url=config))
            for name in (*(extra for extra in extras if extra in there), CONFIG_FILE, WEIGHTS_FILE):
                path = self._get(name, info.sha)
            if self.revision != info.sha:  # downloads by commit leave no note of the branch, which `_cached` looks up
                self._remember(info.sha)
        except HUB_ERRORS as error:
            raise self._error(error) from error
        return Path(path).parent, self.repo, info.sha

    def _get(self, name: str, commit: str) -> str:
        return with_retries(
            lambda: hf_hub_download(self.repo, name, revision=commit, token=self.token, cache_dir=self.cache_dir)
        )

    @property
    def _cache(self) -> Path:
        return Path(self.cache_dir or constants.HF_HUB_CACHE)

    def _remember(self, commit: str) -> None:
        """Note in the cache which commit the revision is, as the client does."""
        ref = self._cache / f"models--{self.repo.replace('/', '--')}" / "refs" / self.revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(commit)

    def _cached(self) -> tuple[Path, str, str] | None:
        config, weights = self._in_cache(CONFIG_FILE), self._in_cache(WEIGHTS_FILE)
        if not isinstance(config, str) or not isinstance(weights, str):
            return None
        folder = Path(config).parent
        return folder, self.repo, folder.name

    def _is_complete(self, extras: tuple[str, ...]) -> bool:
        return all(self._in_cache(name) is not None for name in extras)

    def _in_cache(self, name: str) -> object:
        """Return a file's path, None, or a mark where the cache knows that the commit has no such file."""
        return try_to_load_from_cache(self.repo, name, cache_dir=self.cache_dir, revision=self.revision)

    def _error(self, error: BaseException) -> PretrainedError:
        return pretrained_error(f"model={short_repr(self.source)}", error, self._explain(error))

    def _explain(self, error: BaseException) -> str:
        if isinstance(error, GatedRepoError):
            return "the repo is gated: ask for access on its page, then log in (hf auth login, or HF_TOKEN)"
        if isinstance(error, RepositoryNotFoundError):
            return (
                f"no such repo on {constants.ENDPOINT}, or a private one: check the name, or log in with an account "
                "that may read it (hf auth login, or HF_TOKEN)"
            )
        if isinstance(error, RevisionNotFoundError):
            return f"the repo has no branch, tag or full commit hash {self.revision!r}{self._revisions()}"
        return explain(error) + (", and the cache does not have the model" if is_outage(error) else "")

    def _revisions(self) -> str:
        try:
            refs = HfApi(token=self.token).list_repo_refs(self.repo)
        except HUB_ERRORS:
            return ""
        return f"; it has {', '.join([ref.name for ref in (*refs.branches, *refs.tags)][:8])}"
