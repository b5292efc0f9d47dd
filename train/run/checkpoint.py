"""Checkpoints: folders written beside their final name, synced to disk, renamed, and verified before use."""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field
from pydantic.dataclasses import dataclass
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from sngan_cond.hub.checkpoints import (
    STATE_FILE,
    checkpoint_folder,
    read_state,
    saved_steps,
    state_text,
    unreadable_now,
)
from sngan_cond.hub.weights import header, save_tensors
from sngan_cond.validation import one_line
from train.errors import TrainError
from train.files import sha256, sync
from train.sections import NotNegative, Positive
from train.stored import STRICT, check_as

FORMAT = 2
_READ = (1, FORMAT)  # 1 had neither a sha256 of its own nor one of the data
_PARTIAL = ".partial-"
_DELETING = ".deleting-"
_STEP = re.compile(r"step-(\d{8,})(\.\w+)?")

FileName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.(json|safetensors)$")]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class StateFile:
    """The content of a checkpoint's `state.json`.

    Args:
        images_seen: real images shown to D.
        seconds: spent in the run, over all its starts.
        files: names of all other files to their sha256.
        data: what the run trains on, as of `DatasetInfo.identity`; None in checkpoints of an earlier version.
        sha256: of all that stands above it.
    """

    format: int
    step: NotNegative
    images_seen: NotNegative
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    world_size: Positive
    config: dict[str, Any]
    files: dict[FileName, Sha256]
    data: dict[str, str | int] | None = None
    sha256: Sha256 | None = None

    def check_file(self, path: Path, found: str) -> None:
        """Raise a TrainError if a file of the checkpoint has another sha256 than it was saved with."""
        if self.files.get(path.name) != found:
            raise TrainError(f"{path}: damaged, its sha256 is not the one that {STATE_FILE} says")


class Checkpoint(NamedTuple):
    """A whole checkpoint on disk."""

    folder: Path
    state: StateFile

    @property
    def step(self) -> int:
        """Number of steps that were taken."""
        return self.state.step

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Read one file of tensors, named without its suffix, onto the CPU.

        Copies: what is loaded maps the file, and an optimiser keeps it so. Windows removes no file that is mapped.

        Raises:
            ValueError: if the file is none of tensors any more.
        """
        try:
            return {key: t.clone() for key, t in load_file(self.folder / f"{name}.safetensors").items()}
        except SafetensorError as error:
            raise ValueError(f"{name}.safetensors: {one_line(error)}") from error

    def shapes(self, name: str) -> dict[str, tuple[int, ...]]:
        """Read the shapes of one file of tensors, and nothing else.

        Raises:
            ValueError: if the checkpoint has no such file, or it is none of tensors.
        """
        if (file := f"{name}.safetensors") not in self.state.files:
            raise ValueError(f"{STATE_FILE}: files lacks {file}")
        try:
            with safe_open(self.folder / file, framework="pt") as tensors:
                return {key: tuple(tensors.get_slice(key).get_shape()) for key in tensors.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(f"{file}: {error}") from error


def save_checkpoint(
    root: Path,
    *,
    state: Mapping[str, Any],
    tensors: Mapping[str, Mapping[str, Tensor]],
    texts: Mapping[str, str],
    headers: Mapping[str, str] | None = None,
    keep: int,
    healthy: int | None = None,
    damaged: Set[int] = frozenset(),
) -> Path:
    """Write a checkpoint so that it is there whole or not at all, then remove the oldest ones.

    Args:
        root: folder of all checkpoints.
        state: the fields of `StateFile`, without format and files.
        tensors: file name without suffix to named tensors.
        texts: file name to text.
        headers: name of a file of tensors, without suffix, to a text that it carries.
        keep: number of whole checkpoints kept.
        healthy: step whose checkpoint, or else the last one before it, is kept too; None knows of none.
        damaged: steps of earlier ones that are known to be so, though it takes every byte to see it.
    Returns:
        The folder.
    Raises:
        TrainError: if the disk refuses; nothing is left behind.
    """
    final = checkpoint_folder(root, state["step"])
    partial = root / f"{_PARTIAL}{final.name}"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, named in tensors.items():
            plain = {key: tensor.detach().cpu().contiguous() for key, tensor in named.items()}
            text = (headers or {}).get(name)
            save_tensors(plain, partial / f"{name}.safetensors", metadata=None if text is None else header(text))
        for name, text in texts.items():
            (partial / name).write_text(text, encoding="utf-8")
        files = {path.name: sha256(path) for path in sorted(partial.iterdir())}
        noted = {"format": FORMAT, **state, "files": files}
        (partial / STATE_FILE).write_text(state_text(noted), encoding="utf-8")
        # Contents, the list of their names, the rename, then the list of the folder around it: a power
        # cut between any two leaves either no checkpoint of this name or a whole one.
        for path in (*partial.iterdir(), partial):
            sync(path)
        if final.exists():  # damaged, or this step would not be saved again
            final.rename(root / f"damaged-{final.name}-{os.getpid()}")
        partial.rename(final)
        sync(root)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise TrainError(f"{final}: the checkpoint cannot be saved ({_reason(error)})") from error
    with suppress(OSError):  # of a folder that cannot be listed now: this one is saved, and the next save looks again
        _remove_oldest(root, keep, newest=state["step"], healthy=healthy, damaged=damaged)
    return final


def newest_checkpoint(root: Path, warn: Callable[[str], None]) -> Checkpoint | None:
    """Return the first of `whole_checkpoints`, None if there is none."""
    return next(whole_checkpoints(root, warn), None)


def whole_checkpoints(
    root: Path, warn: Callable[[str], None], *, check: Callable[[Checkpoint], None] | None = None
) -> Iterator[Checkpoint]:
    """Go through the whole checkpoints, newest first; damaged ones are named, skipped and left in place.

    Args:
        root: folder of all checkpoints.
        warn: called with one line for each damaged checkpoint.
        check: raises a ValueError for one that is of no use though its bytes are as they were written.
    Raises:
        TrainError: if the system cannot read one now, which says nothing of whether it is whole.
    """
    for step in reversed(_steps(root)):
        folder = checkpoint_folder(root, step)
        try:
            checkpoint = Checkpoint(folder, _read_own_state(folder))
            _verify(checkpoint)
            if check is not None:
                check(checkpoint)
        except (OSError, ValueError) as error:
            _refuse_unreadable(folder, error)
            warn(f"{folder}: damaged checkpoint skipped ({_reason(error)})")
        else:
            yield checkpoint


def state_of(folder: Path) -> StateFile:
    """Read what a checkpoint, or a copy of one under another name, says of itself.

    Raises:
        TrainError: if it is damaged.
    """
    try:
        return _read_state(folder)
    except ValueError as error:
        raise TrainError(f"{folder}{os.sep}{error}") from error


def remove_later(root: Path, step: int) -> None:
    """Remove what a folder has of steps after this one, the newest first: `step-NUMBER` and files that begin so."""
    numbers = {path: _STEP.fullmatch(path.name) for path in root.glob("step-*")}
    later = {path: int(number[1]) for path, number in numbers.items() if number and int(number[1]) > step}
    for path in sorted(later, key=later.__getitem__, reverse=True):
        if path.is_dir():
            doomed = path.rename(root / f"{_DELETING}{path.name}")
            shutil.rmtree(doomed, ignore_errors=True)
        else:
            path.unlink()


def clean_leftovers(root: Path) -> None:
    """Remove what a killed process left half-written or half-deleted in a folder of `step-NUMBER`."""
    for prefix in (_PARTIAL, _DELETING):
        for folder in root.glob(f"{prefix}*"):
            shutil.rmtree(folder, ignore_errors=True)


def unreadable(path: Path, error: OSError) -> TrainError:
    """Return what to raise where the system cannot read now; the path is named where its own error names none."""
    where = error.filename or path
    return TrainError(f"{where}: cannot be read now ({_reason(error)}), which may pass; nothing was changed")


def _steps(root: Path) -> list[int]:
    """Return `saved_steps`, which takes a folder that cannot be listed for an empty one."""
    try:
        list(root.iterdir())
    except OSError as error:
        _refuse_unreadable(root, error)
    return saved_steps(root)


def _refuse_unreadable(path: Path, error: BaseException) -> None:
    """Raise a TrainError if it was the system that could not read: going on from an older checkpoint would then drop a
    newer one that is whole."""
    if (system := unreadable_now(error)) is not None:
        raise unreadable(path, system) from error


def _read_state(folder: Path) -> StateFile:
    state = read_state(folder / STATE_FILE)
    if state.get("format") not in _READ:
        raise ValueError(f"{STATE_FILE}: format {' or '.join(map(str, _READ))} is expected")
    return check_as(StateFile, state, name=STATE_FILE)


def _read_own_state(folder: Path) -> StateFile:
    state = _read_state(folder)
    if checkpoint_folder(folder.parent, state.step).name != folder.name:
        raise ValueError(f"{STATE_FILE}: step {state.step}, which is not the folder's")
    return state


def _verify(checkpoint: Checkpoint) -> None:
    for name, expected in checkpoint.state.files.items():
        if not (path := checkpoint.folder / name).is_file():
            raise ValueError(f"{name}: no such file")
        found = sha256(path)
        if found != expected:
            raise ValueError(f"{name}: sha256 {found:.12}, expected {expected:.12}")


def _looks_whole(folder: Path) -> bool:
    """Check format and files without reading gigabytes; only a start of the run asks for every byte.

    One that cannot be read now does not count, so that nothing is removed in its place.
    """
    try:
        return all((folder / name).is_file() for name in _read_own_state(folder).files)
    except (OSError, ValueError):
        return False


def _remove_oldest(root: Path, keep: int, *, newest: int, healthy: int | None, damaged: Set[int]) -> None:
    """Keep some checkpoints that can be continued; damaged ones do not count, and stay."""
    sound = [step for step in reversed(saved_steps(root)) if step <= newest and step not in damaged]
    steps = [step for step in sound if _looks_whole(checkpoint_folder(root, step))]
    last_healthy = next((step for step in steps if healthy is not None and step <= healthy), None)
    for folder in [checkpoint_folder(root, step) for step in steps[keep:] if step != last_healthy]:
        # Renamed first: a kill leaves no half of a checkpoint under its name. One that cannot be renamed, since another
        # program reads it on Windows, stays whole until the next is saved.
        doomed = root / f"{_DELETING}{folder.name}"
        with suppress(OSError):
            folder.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)


def _reason(error: BaseException) -> str:
    return one_line(getattr(error, "strerror", None) or str(error) or type(error).__name__)
