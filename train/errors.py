"""What a user can mend: commands print it in one line and exit with status 2."""

from importlib.util import find_spec


class TrainError(ValueError):
    """What the user asked for cannot be done; the message names the argument, its value and what is allowed."""


class DataError(TrainError):
    """A fault in data or in how it is asked for: one line that names file or argument, value and what is allowed."""


class EvaluationError(TrainError):
    """A score cannot be computed as asked: one line that names argument or file, value and what is allowed."""


def need_package(package: str, *, extra: str, wanted: str, error: type[TrainError] = TrainError) -> None:
    """Raise unless a package is installed.

    Args:
        package: what is imported.
        extra: of this project, which installs it.
        wanted: argument and value that need it, for the message.
        error: what is raised.
    """
    if find_spec(package) is None:
        raise error(f"{wanted}: the package {package} is not installed; pip install -e '.[{extra}]' brings it")
