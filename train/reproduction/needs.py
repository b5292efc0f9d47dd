"""What a figure needs of a run beside its end."""

from typing import Literal

# Scores at intervals, checkpoints kept at the same intervals, or images like those it was trained on that it has not
# seen (`Task.validation_path`).
Need = Literal["scores", "checkpoints", "validation"]
