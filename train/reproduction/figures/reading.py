"""What the figures read of their runs: results, scores at intervals, kept checkpoints; and where a panel has none."""

import sys
import textwrap
from typing import TYPE_CHECKING

from sngan_cond.hub.checkpoints import CHECKPOINTS_FOLDER
from train.errors import TrainError
from train.reproduction.task import Task
from train.run.checkpoint import Checkpoint, whole_checkpoints

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REASON_LETTERS = 42


def checkpoints(task: Task) -> list[Checkpoint]:
    """Return the whole checkpoints that a run has kept, oldest first.

    Raises:
        TrainError: if there is none.
    """
    found = list(whole_checkpoints(task.run_dir / CHECKPOINTS_FOLDER, lambda line: print(line, file=sys.stderr)))[::-1]
    if not found:
        raise TrainError(f"{task.preset} seed {task.seed}: no whole checkpoint")
    return found


def say(axes: "Axes", reason: str) -> None:
    """Write into a panel why nothing is drawn there."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, textwrap.fill(reason, REASON_LETTERS), ha="center", va="center", transform=axes.transAxes)
