"""The folder of a training run, as far as a model is taken from it: where its checkpoints lie, and which is whole."""

import errno
import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sngan_cond.hub.files import PretrainedError
from sngan_cond.stored import MAX_TEXT_BYTES, open_regular, parse_json, read_text
from sngan_cond.validation import short_repr

CHECKPOINTS_FOLDER = "checkpoints"
STATE_FILE = "state.json"
_SEALED_FORMAT = 2  # 1 had no sha256 of its own
_SEAL = "sha256"
# What the system says of a file that is not there or is something else; whatever else it says may pass by itself.
_DAMAGE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL)

logger = logging.getLogger(__name__)


def checkpoint_folder(root: Path, step: int) -> Path:
    """Return where the checkpoint of a step lies in the folder of all checkpoints."""
    return root / f"step-{step:08d}"


def saved_steps(root: Path) -> list[int]:
    """Return the steps that have a `checkpoint_folder`, whole or not, the oldest first; other names are skipped."""
    rests = [path.name.removeprefix("step-") for path in root.glob("step-*")]
    return sorted(int(rest) for rest in rests if rest.isdecimal() and rest == f"{int(rest):08d}")


def unreadable_now(error: BaseException) -> OSError | None:
    """Return the error of the system in another, if it says nothing of whether a file is whole: it could not read."""
    system = error if isinstance(error, OSError) else error.__cause__
    return system if isinstance(system, OSError) and system.errno not in _DAMAGE else None


def model_checkpoint(run: Path, needed: tuple[str, ...]) -> Path:
    """Return a run's newest checkpoint whose model files are whole; damaged ones are named in the log and skipped.

    Args:
        run: the run's folder.
        needed: names of the files that are to be read; the others are not looked at.
    Raises:
        PretrainedError: if there is none, or the system cannot read one now.
    """
    root = run / CHECKPOINTS_FOLDER
    steps = saved_steps(root)
    for step in reversed(steps):
        folder = checkpoint_folder(root, step)
        try:
            _verify(folder, needed)
        except (OSError, ValueError) as error:
            if (system := unreadable_now(error)) is not None:
                where = short_repr(str(system.filename or folder))
                raise PretrainedError(f"{where}: cannot be read now ({system.strerror}), which may pass") from error
            logger.warning("%s: damaged checkpoint skipped (%s)", folder, getattr(error, "strerror", None) or error)
        else:
            logger.info("%s: a run; its newest checkpoint is taken, %s", run, folder.name)
            return folder
    found = f"none of its {len(steps)} checkpoints is whole" if steps else "it has no checkpoint yet"
    raise PretrainedError(f"model={short_repr(str(run))}: a run, and {found}")


def state_text(state: Mapping[str, Any]) -> str:
    """Write down what a checkpoint says of itself, and behind it the sha256 of all that, without which a flipped bit in
    a number would be believed.

    Args:
        state: of plain values, without the sha256.
    """
    end = '"\n}\n'
    body = json.dumps({**state, _SEAL: ""}, indent=2).removesuffix('"\n}')
    return body + hashlib.sha256(body.encode()).hexdigest() + end


def read_state(path: Path) -> dict[str, Any]:
    """Read what `state_text` wrote, or an earlier version without the sha256.

    Raises:
        ValueError: if it is no JSON object, or not what was written.
    """
    text = read_text(path, "JSON", error=ValueError, name=path.name, limit=MAX_TEXT_BYTES)
    state: dict[str, Any] = parse_json(text, name=path.name)
    if state.get("format") == _SEALED_FORMAT or _SEAL in state:  # one flip takes no more than one of these away
        rest = {key: value for key, value in state.items() if key != _SEAL}
        if text != state_text(rest):
            raise ValueError(f"{path.name}: damaged, its content is not that of its own sha256")
    return state


def _verify(folder: Path, needed: tuple[str, ...]) -> None:
    noted: object = read_state(folder / STATE_FILE).get("files")
    for name in needed:
        with open_regular(folder / name) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        expected = noted.get(name) if isinstance(noted, dict) else None
        if found != expected:
            raise ValueError(f"{name}: sha256 {found:.12}, {STATE_FILE} says {expected!s:.12}")
