"""What killed processes left of a run, and what tells of checkpoints that are gone: it gives way to one begun anew."""

import re
from pathlib import Path

from sngan_cond.atomic import remove_drafts
from sngan_cond.hub.checkpoints import CHECKPOINTS_FOLDER, checkpoint_folder, saved_steps
from sngan_cond.stored import read_json
from train.config import TrainConfig
from train.run.checkpoint import clean_leftovers
from train.run.numerics import TRAINING_FILE
from train.run.scalars import SCALARS_FILE, log_lines

PUBLISHED_FILE, OUTBOX = "published.json", "outbox"
_LEFT = "lost-"  # what was left of a run, by number
# What a run writes beside its name first: hidden files of others stay.
_DRAFTED = re.compile(
    r"config\.yaml|(training|published|health|init_from|result|ema|generator)\.json|scalars\.jsonl|step-\d{8,}\.png"
)


def traces(folder: Path, config: TrainConfig) -> list[str]:
    """Say what tells, where no checkpoint is whole, that a run had some; nothing where it was killed before its first.

    Args:
        config: that it had.
    """
    steps = saved_steps(folder / CHECKPOINTS_FOLDER)
    found = [f"damaged are those of step {', '.join(map(str, steps))}" if steps else "none is there"]
    last = _last_logged(folder / SCALARS_FILE)
    every = min(config.save_every, config.hub.every if config.hub.repo else config.save_every)
    # It is written once a first checkpoint is whole; and a second is not begun before the first is.
    if (folder / TRAINING_FILE).exists() or last > 2 * every:
        found.append(f"it had come to step {last}" if last else f"it has {TRAINING_FILE}")
    try:
        published = read_json(folder / PUBLISHED_FILE) if (folder / PUBLISHED_FILE).exists() else {}
        if numbers := [int(step) for repo in published.values() for step in repo]:
            found.append(f"step {max(numbers)} was published")
    except (ValueError, TypeError, AttributeError):
        found.append(f"it has {PUBLISHED_FILE}, which cannot be read")
    return found if steps or len(found) > 1 else []


def clean_up(folder: Path) -> None:
    """Remove what killed processes left half-done in the folder of a run, which no other trains in."""
    scored = folder / "evaluations"
    for emptied in (folder / CHECKPOINTS_FOLDER, scored, *(folder / OUTBOX).glob("*")):
        clean_leftovers(emptied)
    for drafted in (folder, folder / "samples", *(checkpoint_folder(scored, step) for step in saved_steps(scored))):
        remove_drafts(drafted, _DRAFTED, alone=True)


def move_aside(folder: Path, *, keep: str) -> Path:
    """Move all that is left of a run into a new folder of its own folder, and return that.

    Args:
        keep: name of a file that stays.
    """
    earlier = [path.name.removeprefix(_LEFT) for path in folder.glob(f"{_LEFT}*")]
    aside = folder / f"{_LEFT}{max((int(number) for number in earlier if number.isdecimal()), default=0) + 1}"
    aside.mkdir()
    last = (CHECKPOINTS_FOLDER, TRAINING_FILE, PUBLISHED_FILE)  # a kill in between leaves what tells of the run
    for path in sorted(folder.iterdir(), key=lambda path: path.name in last):
        if path.name != keep and not path.name.startswith(_LEFT):
            path.rename(aside / path.name)
    return aside


def _last_logged(log: Path) -> int:
    """Return the last step of a log, 0 without one."""
    lines = log_lines(log) if log.exists() else ()
    return max((logged["step"] for _, logged in lines if logged is not None), default=0)
