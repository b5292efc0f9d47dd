"""What a user can mend: commands print it in one line and exit with status 2."""


class TrainError(ValueError):
    """What the user asked for cannot be done; the message names the argument, its value and what is allowed."""


class DataError(TrainError):
    """A fault in data or in how it is asked for: one line that names file or argument, value and what is allowed."""


class EvaluationError(TrainError):
    """A score cannot be computed as asked: one line that names argument or file, value and what is allowed."""
