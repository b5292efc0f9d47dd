"""Functions that draw the figures, by their kinds in the catalogue."""

from collections.abc import Callable
from typing import Any

# draw(figure, tasks, **options) -> numbers drawn
# Args:
#     figure: an empty matplotlib.figure.Figure; the function sizes it (`train.plotting.panels`).
#     tasks: Sequence[Task], all runs of `PaperFigure.runs`, every seed; one that failed has no result.
#     options: `PaperFigure.options`.
# Returns:
#     The numbers drawn, as JSON has them (no NaN); they are written beside the picture.
# Raises:
#     TrainError: where nothing can be drawn. A panel that alone cannot be has its reason instead (`reading.say`).
Draw = Callable[..., dict[str, Any]]
KINDS: dict[str, Draw] = {}
