"""The critic's loss on images that it was trained on, and on others."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from sngan_cond import Generator, build_constraint
from sngan_cond.latents import draw_latents
from sngan_cond.objectives import DiscriminatorBatch, discriminator_objective
from sngan_cond.randomness import rng_for
from train.analysis.measure import load_discriminator
from train.data.dataset import PreparedDataset
from train.errors import TrainError
from train.evaluation.streams import on_device, real_indices
from train.plotting import COLOURS, add_legend, panels
from train.reproduction.figures.reading import (
    checkpoints,
    failures,
    joined,
    mean_and_spread,
    say,
    split,
    spread_text,
)
from train.reproduction.figures.scores import curves_in, over_updates
from train.reproduction.task import Task
from train.run.checkpoint import Checkpoint

if TYPE_CHECKING:
    from matplotlib.figure import Figure

IMAGES = 512  # of each side
_BATCH = 64
SIDES = {"training": "-", "validation": "--"}


def critic_losses(figure: "Figure", tasks: Sequence[Task]) -> dict[str, Any]:
    """Draw (a) the critic's loss on training and validation images, a colour a row, and (b) the class score.

    Source: Miyato et al. 2018, Figure 15 and appendix E.1.
    """
    left, right = panels(figure, 2, columns=2, width_inch=5)
    found, reasons = split([(task,) for task in tasks], _losses)
    reasons += failures(task for (task,), _ in found)
    lines: dict[tuple[str, str], dict[int, list[float]]] = {}
    for (task,), losses in found:
        for step, by_side in losses.items():
            for side, value in by_side.items():
                lines.setdefault((task.row.label, side), {}).setdefault(step, []).append(value)
    rows, drawn = list(dict.fromkeys(task.row.label for task in tasks)), []
    for (label, side), points in lines.items():
        stated = [(step, *mean_and_spread(values), len(values)) for step, values in sorted(points.items())]
        steps, means, errors, _ = zip(*stated, strict=True)
        colour, name = COLOURS[rows.index(label)], f"{label}, {side} images"
        left.plot(steps, means, color=colour, linestyle=SIDES[side], marker=".")
        low, high = ([m + sign * (e or 0.0) for m, e in zip(means, errors, strict=True)] for sign in (-1, 1))
        left.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)
        keys = ("step", "mean", "error", "n")
        drawn.append({"line": name, "points": [dict(zip(keys, point, strict=True)) for point in stated]})
    for side, style in SIDES.items():
        left.plot([], [], color="black", linestyle=style, label=f"(a): {side} images")
    if not drawn:
        say(left, joined(reasons))
    left.set_title("(a)")
    left.set_ylabel("critic loss with gradient penalty")
    over_updates(left)
    scores, lost = curves_in(right, tasks, "inception_score")
    right.set_title("(b)")
    counts = [point["n"] for line in [*drawn, *scores["lines"]] for point in line["points"]]
    if not counts:
        raise TrainError(joined([*reasons, *lost]))
    add_legend(figure, [left, right])
    spread = spread_text(counts, "error", "band")
    return {"losses": drawn, "scores": scores, "reasons": [*reasons, *lost], "spread": spread}


def _losses(task: Task) -> dict[int, dict[str, float]]:
    """Return the loss by step of every kept checkpoint and by side."""
    kept = checkpoints(task)
    try:
        folders = {"training": task.data_path, "validation": task.validation_path}
        sets = {side: PreparedDataset.open(folder) for side, folder in folders.items()}
    except TrainError as error:
        raise TrainError(f"{error}, with --split test: the validation images") from error
    reals = {side: data.images[real_indices(data, IMAGES)] for side, data in sets.items()}
    count = min(map(len, reals.values()))
    images = {side: on_device(found[:count], torch.device("cpu")).float() / 127.5 - 1 for side, found in reals.items()}
    return {one.step: {side: critic_loss(task, one, x) for side, x in images.items()} for one in kept}


def critic_loss(task: Task, checkpoint: Checkpoint, real: torch.Tensor) -> float:
    """Return a checkpoint's loss of D, with its penalties, on real images against as many generated ones.

    Args:
        real: (N, 3, R, R) in [-1, 1].
    Raises:
        TrainError: if it is not finite.
    """
    config = task.config
    G, D = Generator.from_pretrained(checkpoint.folder).eval(), load_discriminator(config, checkpoint)
    constraint = build_constraint(config.constraint)
    rng = rng_for(task.seed, "critic loss")
    z = draw_latents(len(real), G.config.latent_dim, rng=rng, latent=G.config.latent)
    total = 0.0
    for first in range(0, len(real), _BATCH):
        x, latents = real[first : first + _BATCH], z[first : first + _BATCH]
        batch = DiscriminatorBatch(x, None, latents, None)
        found = discriminator_objective(D, G, batch, loss=config.loss, constraint=constraint, rng=rng)
        total += len(x) * found.total.item()
    if not math.isfinite(total):
        raise TrainError(f"{task.preset} seed {task.seed}, step {checkpoint.step}: the critic's loss is {total}")
    return total / len(real)
