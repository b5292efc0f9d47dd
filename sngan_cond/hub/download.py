"""A model's files, from a folder, a training run, or one commit of a Hub repo."""

import logging
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import ModelInfo

from sngan_cond.atomic import atomic_file, remove_drafts
from sngan_cond.hub import patience
from sngan_cond.hub.checkpoints import CHECKPOINTS_FOLDER, model_checkpoint
from sngan_cond.hub.errors import (
    HUB_ERRORS,
    UnexpectedAnswerError,
    check_commit,
    explain,
    is_outage,
    pretrained_error,
    with_retries,
)
from sngan_cond.hub.files import (
    BUNDLED,
    BUNDLED_FOLDER,
    GENERATOR_FILES,
    MAX_NAME,
    MAX_WEIGHTS_BYTES,
    MODEL_FILES,
    ModelFiles,
    PretrainedError,
    check_files,
    is_repo,
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
    force_download: bool = False,
    needed: tuple[str, ...] = GENERATOR_FILES,
    extras: tuple[str, ...] = (),
    max_weights_bytes: int = MAX_WEIGHTS_BYTES,
) -> ModelFiles:
    """Find a model's files, downloading what the cache does not have.

    What a branch or tag means is asked every time. A Hub that fails is not asked twice where the cache has an answer:
    whoever waits for a page is served at once. A first load tries again for seconds.

    Args:
        model: as for `Generator.from_pretrained`, like those not named here.
        needed: files that there must be.
        extras: optional files that are fetched where a repo has them.
        max_weights_bytes: larger weights are refused, those of a repo before they are downloaded.
    Returns:
        Folder with these files, all of one commit.
    Raises:
        PretrainedError: saying what is missing and what to do.
    """
    if not isinstance(model, str | os.PathLike):
        raise PretrainedError(f"model={short_repr(model)}: the name of a repo or folder is allowed")
    name = os.fspath(model)
    if len(name) > MAX_NAME or "\0" in name:
        raise PretrainedError(f"model={short_repr(name)}: too long, or not a name")
    if name == BUNDLED and not BUNDLED_FOLDER.is_dir():
        raise PretrainedError(f"model={short_repr(name)}: this installation carries no model of its own")
    if name == BUNDLED or (name and os.path.isdir(name)):  # noqa: PTH112 - Path.is_dir raises where a name is too long
        if revision is not None:
            raise PretrainedError(f"revision={short_repr(revision)}: {short_repr(name)} is a folder, which has none")
        return _folder(name, BUNDLED_FOLDER if name == BUNDLED else Path(name), needed, max_weights_bytes)
    if force_download and (local_files_only or constants.HF_HUB_OFFLINE):
        raise PretrainedError("force_download=True while the network is off (HF_HUB_OFFLINE=1 or local_files_only)")
    repo, separator, named = name.partition("@")
    parse_repo(repo, argument="model")
    if separator and revision not in (None, named):
        raise PretrainedError(f"model={short_repr(name)} with revision={short_repr(revision)}: give the revision once")
    wanted = parse_revision(named if separator else "main" if revision is None else revision)
    cache = Path(os.path.expanduser(cache_dir or constants.HF_HUB_CACHE))  # noqa: PTH111 - Path's fails without a home
    hub = _Hub(HfApi(token=token), repo, wanted, cache, needed, extras, max_weights_bytes)
    folder = hub.fetch(offline=local_files_only or constants.HF_HUB_OFFLINE, again=force_download)
    return ModelFiles(name, folder, repo, folder.name)


def _folder(name: str, folder: Path, needed: tuple[str, ...], max_weights_bytes: int) -> ModelFiles:
    try:
        sizes = _sizes(folder)
        if CHECKPOINTS_FOLDER in sizes and not sizes.keys() & {*needed}:
            folder = model_checkpoint(folder, needed)  # says which, and that there is a folder
            sizes = _sizes(folder)
        elif is_repo(name):
            logger.info("%s: the folder is taken; the repo of this name on the Hub is %s@main", name, name)
    except OSError as error:
        raise PretrainedError(f"model={short_repr(name)}: the folder cannot be read ({error.strerror})") from error
    check_files(name, sizes, needed=needed, max_weights_bytes=max_weights_bytes)
    return ModelFiles(name, folder)


def _sizes(folder: Path) -> dict[str, int | None]:
    return {path.name: path.stat().st_size if path.name in MODEL_FILES else None for path in folder.iterdir()}


@dataclass(frozen=True)
class _Hub:
    """One revision of one repo, as the Hub and the client's cache know it.

    `HfApi.resolve_revision` does not serve here: it notes a new commit in the cache before its files are there, so that
    a download which breaks off would hide the older ones, and it does not say whether the repo is gated.
    """

    api: HfApi
    repo: str
    revision: str
    cache: Path
    needed: tuple[str, ...]
    extras: tuple[str, ...]
    max_weights_bytes: int

    @property
    def source(self) -> str:
        return f"{self.repo}@{self.revision}"

    def fetch(self, *, offline: bool, again: bool) -> Path:
        """Return the folder of the commit, which has its full hash for a name; `again` leaves the cache out."""
        cached = None if again else self._cached()
        # A commit never changes, so one in the cache needs no network.
        is_commit = _HASH.fullmatch(self.revision)
        if cached and (offline or (is_commit and all(self._in_cache(name) is not None for name in self.extras))):
            return cached
        if offline:
            raise PretrainedError(
                f"model={short_repr(self.source)}: no such folder, not in the cache ({self.cache}), and the network is "
                "off (HF_HUB_OFFLINE=1 or local_files_only): load it once with the network, or unset it"
            )
        try:
            longest_s = patience.SILENCE_S if cached is None else constants.HF_HUB_ETAG_TIMEOUT
            info = patience.within(longest_s, lambda: with_retries(self._ask, again=cached is None))
        except HUB_ERRORS as error:
            if cached is None or not is_outage(error):
                raise self._error(error) from error
            logger.warning("%s: the Hub does not answer; using commit %s of the cache", self.source, cached.name)
            return cached
        return self._download(info, again=again)

    def _ask(self) -> ModelInfo:
        timeout_s = constants.HF_HUB_ETAG_TIMEOUT  # the client's own, after which it looks into the cache
        info = self.api.model_info(self.repo, revision=self.revision, files_metadata=True, timeout=timeout_s)
        check_commit(info.sha)
        for file in info.siblings or []:
            if not isinstance(file.rfilename, str) or not isinstance(file.size, int | None):
                raise UnexpectedAnswerError(f"a file of {short_repr(file.size)} bytes: {short_repr(file.rfilename)}")
        return info

    def _download(self, info: ModelInfo, *, again: bool) -> Path:
        sizes = {file.rfilename: file.size for file in info.siblings or []}
        check_files(self.source, sizes, needed=self.needed, max_weights_bytes=self.max_weights_bytes)
        # From here on by commit, not by branch: somebody may push between two downloads.
        commit = check_commit(info.sha)
        get = partial(self.api.hf_hub_download, self.repo, revision=commit, cache_dir=self.cache, force_download=again)
        try:
            if info.gated:  # anybody may list a gated repo's files, and what the cache has is taken without a request
                url = hf_hub_url(self.repo, self.needed[0], revision=commit)
                ask = partial(self.api.get_hf_file_metadata, url=url)
                patience.within(patience.SILENCE_S, lambda: with_retries(ask))
            for name in (*(extra for extra in self.extras if extra in sizes), *self.needed):
                download = partial(with_retries, partial(get, name))
                size = 2 * (sizes[name] or self.max_weights_bytes)  # a download may begin anew once
                path = patience.within(patience.SILENCE_S, download, size=size)
        except HUB_ERRORS as error:  # a forced download's failure is a ValueError
            raise self._error(error) from error
        if self.revision != commit:
            self._note(commit)
        return Path(path).parent

    def _note(self, commit: str) -> None:
        """Note what a branch means, which `fetch` looks up in the cache: downloads by commit leave no note of it."""
        ref = self.cache / f"models--{self.repo.replace('/', '--')}" / "refs" / self.revision
        # A cache that cannot be written, as one that many share, has the files all the same; an older note stays whole.
        with suppress(OSError):
            if not ref.is_file() or ref.read_bytes() != commit.encode():
                ref.parent.mkdir(parents=True, exist_ok=True)
                remove_drafts(ref.parent, ref.name)  # the client takes each file there for a note
                with atomic_file(ref) as draft:
                    draft.write_text(commit)

    def _cached(self) -> Path | None:
        paths = [self._in_cache(name) for name in self.needed]
        return Path(str(paths[0])).parent if all(isinstance(path, str) for path in paths) else None

    def _in_cache(self, name: str) -> object:
        """Return a file's path, None, or a mark where the cache knows that the commit has no such file."""
        return try_to_load_from_cache(self.repo, name, cache_dir=self.cache, revision=self.revision)

    def _error(self, error: BaseException) -> PretrainedError:
        return pretrained_error(f"model={short_repr(self.source)}", error, self._explain(error))

    def _explain(self, error: BaseException) -> str:
        if isinstance(error, GatedRepoError):
            return "the repo is gated: ask for access on its page, then log in (hf auth login, or HF_TOKEN)"
        if isinstance(error, RepositoryNotFoundError):
            return (
                f"no such folder here, and no such repo on {constants.ENDPOINT}, or a private one: check the name, or "
                "log in with an account that may read it (hf auth login, or HF_TOKEN)"
            )
        if isinstance(error, RevisionNotFoundError):
            return f"the repo has no branch, tag or full commit hash {self.revision!r}{self._revisions()}"
        return explain(error) + (", and neither a folder nor the cache has the model" if is_outage(error) else "")

    def _revisions(self) -> str:
        def names() -> str:
            refs = self.api.list_repo_refs(self.repo)
            return ", ".join([ref.name for ref in (*refs.branches, *refs.tags)][:8])

        try:
            return f"; it has {patience.within(patience.SILENCE_S, lambda: with_retries(names, again=False))}"
        except HUB_ERRORS:
            return ""
