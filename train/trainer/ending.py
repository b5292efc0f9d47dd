"""How a run ends, and what it says then."""

import shlex
from pathlib import Path
from typing import NamedTuple

from sngan_cond.config import GeneratorConfig
from train.run.run import Run


class RunEnd(NamedTuple):
    """How a run ended.

    Args:
        step: number of steps taken in all.
        sick: whether it ended, not being asked to, while something that its monitor found was in sight.
    """

    step: int
    sick: bool


def summary(run: Run, model: Path, generator: GeneratorConfig, step: int) -> str:
    """Say where the images are and how to make more."""
    grids = sorted((run.folder / "samples").glob("step-*.png"))
    first = (generator.class_names or ("0",))[0]
    named = f" --class {shlex.quote(first if first[:1].isalnum() else '0')}" if generator.num_classes else ""
    return (
        f"step {step} of {run.config.steps}; model: {model}\n"
        + (f"samples: {grids[-1]}\n" if grids else "")
        + f"sample again: sngan-cond sample --model {model}{named} --n 16 --out grid.png"
    )
