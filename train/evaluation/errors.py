"""The one error type of the evaluation room."""

from train.errors import TrainError


class EvaluationError(TrainError):
    """A score cannot be computed as asked: one line that names argument or file, value and what is allowed."""
