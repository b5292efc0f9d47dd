"""Checks whose errors take one line, and the strict conversion of configurations from and to plain values."""

import difflib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, fields
from typing import Any, Self

_MEANT = " (did you mean {!r}?)"


def nearest(name: str, choices: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the choice that an abbreviated or mistyped name most likely means.

    Args:
        name: at least one letter; from three on, also a beginning of a choice.
        choices: where several begin with the name, the first of them is taken.
        cutoff: least similarity of a mistyped name, 0 to 1 (`difflib.get_close_matches`).
    """
    choices = list(choices)
    begun = [choice for choice in choices if len(name) > 2 and choice.lower().startswith(name.lower())]
    return next(iter(begun or difflib.get_close_matches(name, choices, n=1, cutoff=cutoff)), None)


def did_you_mean(name: str, choices: Iterable[str], otherwise: str = "", *, form: str = "did you mean {}?") -> str:
    """Return the end of a message about a name that is none of the choices: the nearest one, else `otherwise`.

    Args:
        choices: as for `nearest`.
        form: of the hint, with braces for the choice.
    """
    near = nearest(name, choices)
    return otherwise if near is None else form.format(near)


def allowed_names(name: object, choices: Iterable[str]) -> str:
    """Return the end of a message about a name that is none of the choices: all of them, and the nearest."""
    choices = list(choices)
    return f"allowed are {', '.join(choices)}{did_you_mean(str(name), choices, form=_MEANT)}"


def one_line(text: object, longest: int | None = None, *, more: str = "") -> str:
    """Return a text that anybody may have written on one line.

    Args:
        text: an error or anything else that has a text.
        longest: characters kept of it; None keeps all.
        more: put where the rest is cut off.
    """
    flat = " ".join(str(text).split())
    return flat if longest is None or len(flat) <= longest else flat[:longest] + more


def short_repr(value: object) -> str:
    """Return a value for an error message: quoted, on one line and of readable length."""
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:90]}... ({len(text)} characters)"


def check_range(name: str, value: object, low: int, high: int) -> None:
    """Raise a ValueError that names field, value and range if a value is not an integer from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name}={value!r}: an integer from {low} to {high} is allowed")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise a ValueError that names field, value, choices and the nearest of them if a value is none of the choices."""
    if value not in choices:
        raise ValueError(f"{name}={value!r}: {allowed_names(value, choices)}")


def check_number(name: str, value: object, is_allowed: Callable[[float], bool], allowed: str) -> None:
    """Raise a ValueError that names field, value and what is allowed if a value is not an allowed number.

    Args:
        value: a bool is not a number.
        is_allowed: called with numbers only.
        allowed: in words, what `is_allowed` accepts.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not is_allowed(value):
        raise ValueError(f"{name}={value!r}: {allowed} is allowed")


class StrictConfig:
    """Base class of frozen dataclasses that are converted to and from plain dictionaries, strictly."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values that JSON can hold."""
        values = asdict(self)  # type: ignore[call-overload]  # every subclass is a dataclass
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    def to_json(self) -> str:
        """Return the fields as the text of a `config.json`."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build the configuration from a dictionary with every field and no other, as `to_dict` returns it.

        Raises:
            ValueError: if a field is unknown or missing, or a value is not allowed.
        """
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]  # every subclass is a dataclass
        for key in values:
            if key not in names:
                meant = did_you_mean(key, names, form=_MEANT)
                raise ValueError(f"{cls.__name__} has no field {key!r}{meant}; its fields are {', '.join(names)}")
        missing = [name for name in names if name not in values]
        if missing:
            raise ValueError(f"{cls.__name__} misses the field {', '.join(missing)}")
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
