"""What a model folder or repo may hold, how models are named, and what is refused before it is read."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # some versions do not say so

from sngan_cond.stored import MAX_TEXT_BYTES, read_json, read_text
from sngan_cond.validation import short_repr

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
DISCRIMINATOR_FILE = "discriminator.safetensors"
CARD_FILE = "README.md"
METRICS_FILE = "metrics.json"
TRAINING_FILE = "training.json"
SAMPLES_FILE = "samples.png"
# Everything a model folder or repo may hold; nothing else is ever sent or asked for.
MODEL_FILES = (CONFIG_FILE, WEIGHTS_FILE, DISCRIMINATOR_FILE, CARD_FILE, METRICS_FILE, TRAINING_FILE, SAMPLES_FILE)
GENERATOR_FILES = (CONFIG_FILE, WEIGHTS_FILE)  # what a generator is read from
BUNDLED = "bundled"
BUNDLED_FOLDER = Path(__file__).parents[1] / "bundled"

MAX_WEIGHTS_BYTES = 8 * 2**30  # 50 times the largest generator of the papers
MAX_NAME = 4096  # longer than any path
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".npz", ".h5", ".msgpack")
_WRITERS = {
    DISCRIMINATOR_FILE: "save_pretrained(discriminator=D) and `python -m train.publish --with-discriminator` write it"
}
_REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}", re.ASCII)
_REVISION = re.compile(r"[\w][\w./+#-]{0,199}", re.ASCII)


class PretrainedError(ValueError):
    """A model cannot be loaded, saved or pushed; the message says which, why, and what to do."""


class HubUnavailableError(PretrainedError):
    """The Hub does not answer at the moment; the same call may succeed later."""


@dataclass(frozen=True)
class ModelFiles:
    """A model's files on this machine; what those beside the weights say is read when it is asked for, and kept.

    Args:
        source: what the user asked for, as they wrote it.
        repo: "user/name" on the Hub, None for a folder.
        commit_hash: full hash of the commit, None for a folder.
    """

    source: str
    folder: Path
    repo: str | None = None
    commit_hash: str | None = None

    @property
    def public_name(self) -> str:
        """What names the model to others: "user/name@commit", or a folder's name without the way to it."""
        return f"{self.repo}@{self.commit_hash}" if self.repo else self.folder.resolve().name

    @cached_property
    def metrics(self) -> dict[str, Any] | None:
        """Content of `metrics.json`, None where there is none."""
        path = self._path(METRICS_FILE)
        return None if path is None else read_json(path, error=PretrainedError, finite=False)

    @cached_property
    def training(self) -> dict[str, Any] | None:
        """Content of `training.json`, None where there is none."""
        path = self._path(TRAINING_FILE)
        return None if path is None else read_json(path, error=PretrainedError, finite=False)

    @cached_property
    def card(self) -> str | None:
        """Text of `README.md`, None where there is none."""
        path = self._path(CARD_FILE)
        return None if path is None else read_text(path, "text", error=PretrainedError, limit=MAX_TEXT_BYTES)

    @property
    def step(self) -> int | None:
        """Training steps behind the weights, None where that is not known."""
        step = (self.training or {}).get("step")
        return step if isinstance(step, int) else None

    @property
    def samples(self) -> Path | None:
        """The PNG of samples, None where there is none."""
        return self._path(SAMPLES_FILE)

    def _path(self, name: str) -> Path | None:
        path = self.folder / name
        return path if path.exists() else None  # a folder in its place is there, and for its reader to refuse


def folder_to_write(save_directory: object) -> Path:
    """Check and return where `save_pretrained` writes.

    Raises:
        PretrainedError: if it is no path.
    """
    if not isinstance(save_directory, str | os.PathLike) or not os.fspath(save_directory):
        raise PretrainedError(f"save_directory={short_repr(save_directory)}: the path of a folder is allowed")
    return Path(save_directory)


def is_repo(name: object) -> bool:
    """Return whether a name can be a repo's: "user/name"."""
    return isinstance(name, str) and bool(_REPO.fullmatch(name)) and not _broken_rule(name)


def _broken_rule(repo: str) -> str:
    """Return the Hub's rule that a name breaks, in the words of its client; "" where it breaks none."""
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        return str(error).partition(f": '{repo}'")[0]
    return ""


def parse_repo(repo: str, *, argument: str = "repo") -> str:
    """Check and return the name of a repo.

    Args:
        repo: "user/name".
        argument: what the user knows it by, for the message.
    Raises:
        PretrainedError: if it is no such name.
    """
    if not is_repo(repo):
        start, more = "", ""
        if argument == "model":
            start, more = "no such folder, and no repo: ", f" or user/name@revision, an existing folder, or {BUNDLED!r}"
        rule = _broken_rule(repo) if isinstance(repo, str) and _REPO.fullmatch(repo) else "URLs are not"
        raise PretrainedError(f"{argument}={short_repr(repo)}: {start}user/name{more} is allowed; {rule}")
    return repo


def parse_revision(revision: str) -> str:
    """Check and return a revision.

    Raises:
        PretrainedError: if it can be neither a branch, nor a tag, nor a full commit hash.
    """
    if not isinstance(revision, str) or not _REVISION.fullmatch(revision) or ".." in revision:
        raise PretrainedError(f"revision={short_repr(revision)}: a branch, a tag or a full commit hash is allowed")
    return revision


def check_files(
    source: str,
    sizes: Mapping[str, int | None],
    *,
    needed: tuple[str, ...] = GENERATOR_FILES,
    max_weights_bytes: int = MAX_WEIGHTS_BYTES,
) -> None:
    """Refuse a repo or folder without the files that are needed, or with files of a size no model has.

    Args:
        source: what the user asked for, for the message.
        sizes: of all files there, in bytes by name; None where not known.
        needed: names that must be among them.
        max_weights_bytes: limit for a weights file; others may have `MAX_TEXT_BYTES`.
    Raises:
        PretrainedError: saying what is missing and what the repo seems to be instead.
    """
    missing = [name for name in needed if name not in sizes]
    if missing:
        pickles = sorted(name for name in sizes if name.endswith(_PICKLES))
        hint = f"; {_WRITERS.get(missing[0], 'save_pretrained writes both')}"
        if WEIGHTS_FILE in missing and pickles:
            hint = (
                f"; it has {pickles[0]}, and weights are only read from safetensors, since other formats can run code: "
                "convert it with `sngan-cond convert` or ask its author for model.safetensors"
            )
        raise PretrainedError(f"model={short_repr(source)}: no {' and no '.join(missing)} there{hint}")
    for name in MODEL_FILES:
        size, limit = sizes.get(name), max_weights_bytes if name.endswith(".safetensors") else MAX_TEXT_BYTES
        if size is not None and size > limit:
            raise PretrainedError(f"model={short_repr(source)}: {name} has {size:,} bytes, at most {limit:,} are read")
