"""What a visitor may ask for: every limit and every check of a value, in one place."""

import math
import re
from dataclasses import dataclass
from typing import Any

from sngan_cond.latents import MAX_SEED, check_seed, check_truncation

SHOWN_CHARACTERS = 60


class InvalidRequest(ValueError):  # noqa: N818 - named for what it is
    """A visitor asked for something that cannot be done; the message is one plain sentence for them."""


class CancelledError(Exception):
    """The visitor changed their mind."""


@dataclass(frozen=True)
class Limits:
    """What one request and one server may cost.

    Args:
        pictures: in one request.
        steps: of one morph or walk.
        classes: named in one request.
        mixture_classes: blended in one mixture.
        text_characters: of a class, model or revision.
        model_bytes: of a model's weights.
        models_loaded: kept in memory at once.
        queue: requests waiting, before the page says that it is busy.
        requests_at_once: requests that share the device.
        listed_classes: classes that the pickers list; further ones can be typed.
        keep_results_s: seconds a result can be downloaded.
    """

    pictures: int = 64
    steps: int = 48
    classes: int = 16
    mixture_classes: int = 6
    text_characters: int = 200
    model_bytes: int = 1_600_000_000
    models_loaded: int = 3
    queue: int = 64
    requests_at_once: int = 16
    listed_classes: int = 2000
    keep_results_s: int = 3600


LIMITS = Limits()


def short_repr(value: object) -> str:
    """Return a value for a message: quoted, on one line, of readable length."""
    if isinstance(value, str) and len(value) > SHOWN_CHARACTERS:
        return f"{value[:SHOWN_CHARACTERS]!r}… ({len(value):,} characters)"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**SHOWN_CHARACTERS:
        return "a number of more than 60 digits"
    if isinstance(value, str | int | float | None):
        return repr(value)
    return f"a {type(value).__name__}"


def text(name: str, value: Any, *, limit: int = LIMITS.text_characters) -> str:
    """Check a piece of text.

    Args:
        name: of the field, for the message.
        value: what came; None is empty text, a whole number is its digits.
        limit: characters allowed.
    Returns:
        The text without surrounding space.
    Raises:
        InvalidRequest: if it is no text, too long, or has control characters.
    """
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        value = short_repr(value)
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} is {short_repr(value)}: text is expected")
    if len(value) > limit:
        raise InvalidRequest(f"{name} is {short_repr(value)}: at most {limit} characters are allowed")
    value = value.strip()
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise InvalidRequest(f"{name} is {short_repr(value)}: control characters are not allowed")
    return value


def whole_number(name: str, value: Any, low: int, high: int) -> int:
    """Check an integer, which may come as digits or as a float without a fraction.

    Args:
        name: of the field, for the message.
        value: what came.
        low: smallest allowed.
        high: largest allowed.
    Raises:
        InvalidRequest: if it is not an integer from `low` to `high`.
    """
    digits = isinstance(value, str) and len(value) <= SHOWN_CHARACTERS and re.fullmatch(r"[+-]?\d+", value.strip())
    whole = isinstance(value, float) and value.is_integer()  # JSON has one kind of number
    number = int(value) if digits or whole else value
    if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
        raise InvalidRequest(f"{name} is {short_repr(number)}: a whole number from {low} to {high} is allowed")
    return number


def seed(name: str, value: Any) -> int:
    """Check a seed, which may come as digits.

    Args:
        name: of the field, for the message.
        value: what came.
    Raises:
        InvalidRequest: if it is not an integer from 0 to 2**63 - 1.
    """
    return check_seed(whole_number(name, value, 0, MAX_SEED))


def truncation(value: Any) -> float | None:
    """Check a truncation threshold, which may come as digits; None and empty text mean none.

    Args:
        value: what came.
    Raises:
        InvalidRequest: if it is not a finite number that sampling accepts.
    """
    if value is None or value == "":
        return None
    try:
        return check_truncation(_number("truncation", value))
    except InvalidRequest:
        raise
    except ValueError as error:
        raise InvalidRequest(str(error)) from error


def share(name: str, value: Any) -> float:
    """Check the weight of a class in a mixture.

    Args:
        name: of the field, for the message.
        value: what came, perhaps digits.
    Raises:
        InvalidRequest: if it is not from 0 to 1,000,000.
    """
    number = _number(name, value)
    if not 0 <= number <= 1e6:
        raise InvalidRequest(f"{name} is {short_repr(value)}: a number from 0 to 1,000,000 is allowed")
    return number


def _number(name: str, value: Any) -> float:
    if isinstance(value, str) and len(value) <= SHOWN_CHARACTERS:
        try:
            number = float(value)
        except ValueError:
            raise InvalidRequest(f"{name} is {short_repr(value)}: a number is expected") from None
    elif isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1e300):
        number = float(value)
    else:
        raise InvalidRequest(f"{name} is {short_repr(value)}: a number is expected")
    if not math.isfinite(number):
        raise InvalidRequest(f"{name} is {short_repr(value)}: a finite number is expected")
    return number
