"""Drawing the figures of the papers from runs that were made: a picture and its numbers each, and a list of all."""

import json
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.errors import TrainError
from train.files import write_text_atomically
from train.plotting import escaped, png
from train.reproduction.figures import (
    critic,
    gradients,
    operators,
    samples,
    scores,
    singular_values,
    spectral,
    variances,
)
from train.reproduction.figures.registry import PaperFigure
from train.reproduction.task import Budget, Task

# draw(figure, tasks, **options) -> numbers drawn
# Args:
#     figure: an empty matplotlib.figure.Figure; the function sizes it (`train.plotting.panels`).
#     tasks: Sequence[Task], all runs of `PaperFigure.runs`, every seed; one that failed has no result.
#     options: `PaperFigure.options`.
# Returns:
#     The numbers drawn, as JSON has them (no NaN), which are written beside the picture. Of them "reasons" lists why
#     parts are missing, and "spread" says what bars, bands or choices are, for the title.
# Raises:
#     TrainError: where nothing can be drawn. A panel that alone cannot be has its reason instead (`reading.say`).
Draw = Callable[..., dict[str, Any]]
KINDS: dict[str, Draw] = {
    "bars": scores.bars,
    "best_samples": samples.best_samples,
    "critic_losses": critic.critic_losses,
    "possible_singular_values": singular_values.possible_singular_values,
    "real_and_generated": samples.real_and_generated,
    "sample_matrix": samples.sample_matrix,
    "score_against": scores.score_against,
    "score_curves": scores.score_curves,
    "singular_values": singular_values.singular_values,
    "gradient_curves": gradients.gradient_curves,
    "gradient_ratios": gradients.gradient_ratios,
    "gradients_by_layer": gradients.gradients_by_layer,
    "loss_gradients": gradients.loss_gradients,
    "norm_ratios": operators.norm_ratios,
    "score_against_variance": variances.score_against_variance,
    "spectral_norms": spectral.spectral_norms,
    "variance_against_scale": variances.variance_against_scale,
    "variance_curves": variances.variance_curves,
    "variances_with_bounds": variances.variances_with_bounds,
}
_LETTER_INCH = 0.07  # width of a letter in a title


@dataclass(frozen=True)
class Drawn:
    """What became of a figure.

    Args:
        reasons: why it, or parts of it, are missing.
    """

    figure: PaperFigure
    is_drawn: bool
    reasons: Sequence[str]


def draw_figures(file: Path, figures: Sequence[PaperFigure], tasks: Sequence[Task], budget: Budget) -> Iterator[Drawn]:
    """Draw figures, each as a PNG file and a JSON file of its numbers.

    Args:
        file: list of the figures, in their folder.
        tasks: runs that were asked for, of which each figure takes its own.
    Yields:
        What became of each figure, as it is drawn.
    """
    made = []
    for figure in figures:
        own = {(table.key, row.name) for table, row in figure.runs}
        chosen = [task for task in tasks if (task.table.key, task.row.name) in own]
        made.append(_draw(file.parent, figure, chosen, budget, missing=len(own) - len({t.preset for t in chosen})))
        write_text_atomically(file, _markdown(made, budget))  # after each: drawing all takes minutes
        yield made[-1]


def _draw(folder: Path, figure: PaperFigure, tasks: Sequence[Task], budget: Budget, *, missing: int) -> Drawn:
    path = folder / f"{figure.key.replace('/', '-')}.png"
    try:
        if figure.rows and not tasks:
            raise TrainError("none of its rows was asked for")
        with png(path) as canvas:
            numbers = KINDS[figure.kind](canvas, tasks, **figure.options)
            said = [figure.title, _spent(budget, figure) if figure.rows else "", str(numbers.get("spread", ""))]
            said += [f"{missing} of its rows were not asked for"] if missing else []
            letters = int(canvas.get_size_inches()[0] / _LETTER_INCH)
            lines = [textwrap.fill(line, letters) for line in said if line]
            canvas.suptitle(escaped("\n".join(lines)), fontsize=8)
    except TrainError as error:
        path.unlink(missing_ok=True)  # of an earlier call, of which the list would not speak
        path.with_suffix(".json").unlink(missing_ok=True)
        return Drawn(figure, is_drawn=False, reasons=[str(error)])
    facts = {"figure": figure.key, "title": figure.title, "measured_by": figure.measured_by}
    facts["budget"] = _spent(budget, figure)
    text = json.dumps({**facts, **numbers}, indent=1, ensure_ascii=False, allow_nan=False)
    write_text_atomically(path.with_suffix(".json"), text + "\n")
    return Drawn(figure, is_drawn=True, reasons=[*dict.fromkeys(numbers.get("reasons", []))])


def _spent(budget: Budget, figure: PaperFigure | None = None) -> str:
    statuses = {budget.status_of(row) for _, row in figure.runs} if figure else set()
    status = statuses.pop() if len(statuses) == 1 else budget.status
    extra = f", with {' '.join(budget.overrides)}" if budget.overrides else ""
    what = "smoke: shows that it can be drawn, and nothing else" if budget.name == "smoke" else status
    return f"{what}; {budget.seeds} seed{'s' if budget.seeds > 1 else ''}{extra}"


def _markdown(made: Sequence[Drawn], budget: Budget) -> str:
    lines = [
        "# Figures",
        "",
        f"Budget: {_spent(budget)}. The numbers drawn stand in a JSON file beside each picture.",
        "",
    ]
    lines += ["| figure | drawn | measured by | not drawn, and why |", "| --- | --- | --- | --- |"]
    for one in made:
        name = f"{one.figure.key.replace('/', '-')}.png"
        link = f"[{one.figure.key}]({name})" if one.is_drawn else one.figure.key
        what = one.figure.draws if one.is_drawn else "nothing"
        reasons = "<br>".join(one.reasons).replace("|", "/")
        lines.append(f"| {link} | {what} | {one.figure.measured_by} | {reasons} |")
    return "\n".join(lines) + "\n"
