"""The one error type of the data room."""

from train.errors import TrainError


class DataError(TrainError):
    """A fault in data or in how it is asked for: one line that names file or argument, value and what is allowed."""
