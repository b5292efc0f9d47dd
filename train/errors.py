"""The one error of training that a user can mend; commands print it in one line and exit with status 2."""


class TrainError(ValueError):
    """What the user asked for cannot be done; the message names the argument, its value and what is allowed."""
