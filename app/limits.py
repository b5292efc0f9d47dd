"""What a visitor may ask for: every limit and every check of a value, in one place.

A check returns the value as requests hold it, or raises `InvalidRequest` with field, value and what is allowed. Numbers
may also come as digits.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sngan_cond.ancestry import MAX_NAME, canonical_name, sources
from sngan_cond.latents import MAX_SEED, check_truncation

SHOWN_CHARACTERS = 60


class InvalidRequest(ValueError):  # noqa: N818 - named for what it is
    """A visitor asked for something that cannot be done; the message is one plain sentence to show them.

    Args:
        field: name of the request's field that it is about, where it is about one.
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class CancelledError(Exception):
    """The visitor cancelled the request."""


@dataclass(frozen=True)
class Limits:
    """What one request may ask for, and how much one server takes on; each is a maximum."""

    images: int = 64  # in one request
    steps: int = 48  # images of one morph or walk
    classes: int = 16  # in one request
    mixture_classes: int = 6  # in one mixture or blend; the page has a slider for each
    cross_steps: int = 8  # rows, and columns, of crossed images
    text_characters: int = 200  # in the name of a class, model or revision
    latent_characters: int = MAX_NAME  # in the name of a latent
    truncated_rows: int = 1024  # drawn for one latent: at the smallest threshold that takes about a second
    model_bytes: int = 1_600_000_000  # size of a model's weights file
    models_loaded: int = 3  # in memory at once
    requests_at_once: int = 16  # requests whose images share the device's batches
    running_of_address: int = 12  # of them from one address: there is always room for somebody else
    running_of_session: int = 8  # of them in one session: there is room for others of the same address
    waiting_of_address: int = 64  # requests from one address that wait for the others
    waiting: int = 512  # requests that wait, in all
    listed_classes: int = 2000  # in one answer to a search
    default_seconds: float = 3.0  # that the images take with which a model begins
    results_kept: int = 64  # that a link gets without being made again
    image_cache_bytes: int = 64_000_000  # of single images, such as the overview's of every class
    keep_results_s: int = 3600  # seconds for which a result can be downloaded


LIMITS = Limits()


def short_repr(value: object) -> str:
    """Return a value for a message: quoted, on one line, of readable length."""
    if isinstance(value, str) and len(value) > SHOWN_CHARACTERS:
        return f"{value[:SHOWN_CHARACTERS]!r}… ({len(value):,} characters)"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**SHOWN_CHARACTERS:
        # repr would raise: Python refuses to write out integers of more than 4,300 digits
        return "a number of more than 60 digits"
    if isinstance(value, str | int | float | None):
        return repr(value)
    return f"a {type(value).__name__}"


def text(name: str, value: Any, longest: int = LIMITS.text_characters) -> str:
    """Check a text, and strip it.

    Args:
        name: what the message calls the field.
        value: None counts as empty text, an integer as its digits.
        longest: characters, at most.
    """
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        value = short_repr(value)
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} is {short_repr(value)}: text is expected")
    if len(value) > longest:
        raise InvalidRequest(f"{name} is {short_repr(value)}: at most {longest:,} characters are allowed")
    value = value.strip()
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise InvalidRequest(f"{name} is {short_repr(value)}: control characters are not allowed")
    return value


def classes(value: Any, limit: int) -> tuple[str, ...]:
    """Check a list of classes without looking them up; empty entries are dropped.

    Args:
        value: a sequence of indices or texts, or a single one; None is an empty list.
        limit: how many at most.
    """
    entries = [] if value is None else [value] if isinstance(value, str | int) else value
    if not isinstance(entries, Sequence):
        raise InvalidRequest(f"class is {short_repr(value)}: a list of class names is expected")
    if len(entries) > limit:
        raise InvalidRequest(f"{len(entries)} classes are given: at most {limit} are allowed")
    return tuple(filter(None, (text("class", entry) for entry in entries)))


def latent(name: str, value: Any) -> str:
    """Check the name of a latent, and return its canonical form; None and empty text are none."""
    given = text(name, value, LIMITS.latent_characters)
    if not given:
        return ""
    try:
        rows = sum(source.row + 1 for source in sources(given, name) if source.truncation is not None)
        canonical = canonical_name(given, name)
    except ValueError as error:
        raise InvalidRequest(str(error)) from error
    if rows > LIMITS.truncated_rows:
        raise InvalidRequest(
            f"{name} is {short_repr(given)}: its truncated sources draw {rows:,} rows in all; "
            f"at most {LIMITS.truncated_rows:,} are allowed"
        )
    return canonical


def parent(name: str, value: Any) -> str:
    """Check the name of a latent as `latent` does, where there has to be one."""
    given = latent(name, value)
    if not given:
        raise InvalidRequest(f"{name} is empty: the name of a latent, such as 7:3, is expected")
    return given


def weights_sha256(value: Any) -> str:
    """Check the first 12 digits of the sha256 of a weights file; empty text is none."""
    given = text("weights", value)
    if given and not re.fullmatch("[0-9a-f]{12}", given):
        raise InvalidRequest(f"weights is {short_repr(given)}: the first 12 digits (0-9, a-f) of a sha256 are expected")
    return given


def whole_number(name: str, value: Any, low: int, high: int) -> int:
    """Check an integer from `low` to `high`, both included; a float without a fraction is one."""
    # The length first: `int` takes quadratic time, and beyond 4,300 digits it raises.
    digits = isinstance(value, str) and len(value) <= SHOWN_CHARACTERS and re.fullmatch(r"[+-]?\d+", value.strip())
    whole = isinstance(value, float) and value.is_integer()  # JSON does not tell 2.0 from 2
    number = int(value) if digits or whole else value
    if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
        raise InvalidRequest(f"{name} is {short_repr(number)}: a whole number from {low} to {high} is allowed")
    return number


count = partial(whole_number, "number of images", low=1, high=LIMITS.images)
seed = partial(whole_number, low=0, high=MAX_SEED)
steps = partial(whole_number, "steps", low=2, high=LIMITS.steps)
cross_steps = partial(whole_number, "steps", low=2, high=LIMITS.cross_steps)


def truncation(value: Any) -> float | None:
    """Check a threshold that sampling accepts; None and empty text mean no truncation."""
    if value is None or value == "":
        return None
    try:
        return check_truncation(_number("truncation", value))
    except ValueError as error:
        raise InvalidRequest(str(error)) from error


def weight(value: Any) -> float:
    """Check the weight of a class in a mixture, 0 to 1,000,000."""
    number = _number("weight", value)
    if not 0 <= number <= 1e6:
        raise InvalidRequest(f"weight is {short_repr(value)}: a number from 0 to 1,000,000 is allowed")
    return number


def radius(value: Any) -> float:
    """Check how far variations lie from their latent, 0 to 1."""
    number = _number("radius", value)
    if not 0 <= number <= 1:
        raise InvalidRequest(f"radius is {short_repr(value)}: a number from 0 to 1 is allowed")
    return number


def _number(name: str, value: Any) -> float:
    if isinstance(value, str) and len(value) <= SHOWN_CHARACTERS:
        try:
            number = float(value)
        except ValueError:
            raise InvalidRequest(f"{name} is {short_repr(value)}: a number is expected") from None
    elif isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1e300):
        number = float(value)  # overflows from about 1.8e308
    else:
        raise InvalidRequest(f"{name} is {short_repr(value)}: a number is expected")
    if not math.isfinite(number):
        raise InvalidRequest(f"{name} is {short_repr(value)}: a finite number is expected")
    return number
