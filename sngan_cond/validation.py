"""Checks whose errors take one line, and the strict conversion of configurations from and to plain values."""

import difflib
import json
import math
import operator
from collections.abc import Callable, Iterable
from ctypes import c_float
from dataclasses import asdict, fields
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self, Union, get_args, get_origin, get_type_hints

NUMBER = r"\d+(?:\.\d+)?(?:[eE]-?\d+)?"  # a regular expression of numbers from 0, as `float32_text` writes them

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
        form: of the hint, with braces for the choice.
    """
    near = nearest(name, choices)
    return otherwise if near is None else form.format(near)


def allowed_names(name: object, choices: Iterable[str]) -> str:
    """Return the end of a message about a name that is none of the choices: all of them, and the nearest."""
    choices = list(choices)
    return f"allowed are {', '.join(choices)}{did_you_mean(str(name), choices, form=_MEANT)}"


def one_line(text: object, longest: int | None = None, *, more: str = "") -> str:
    """Return a text on one line, cut after `longest` characters with `more` in place of the rest."""
    flat = " ".join(str(text).split())
    return flat if longest is None or len(flat) <= longest else flat[:longest] + more


def printable(text: str) -> str:
    """Return a line that anybody may have written without the terminal's control characters."""
    return "".join(character if character.isprintable() else "?" for character in text)


def short_repr(value: object) -> str:
    """Return a value for an error message: quoted, on one line and of readable length."""
    text = repr(value)
    if "\n" in text:  # a tensor's; a text's has none
        text = one_line(text)
    return text if len(text) <= 100 else f"{text[:90]}... ({len(text)} characters)"


def plain(value: object) -> Any:
    """Return a value of NumPy or PyTorch as numbers, texts and lists of Python, any other as it is."""
    return value.tolist() if hasattr(value, "tolist") else value


def integer(value: object) -> int | None:
    """Return an integer of any kind, NumPy's and PyTorch's included, as Python's; None for all else, a bool too."""
    number = plain(value)
    try:
        return None if isinstance(number, bool) else operator.index(number)
    except TypeError:
        return None


def whole_number(name: str, value: object, low: int, high: int | None = None) -> int:
    """Return what `integer` takes for one, as Python's integer.

    Args:
        name: of the argument, for the message.
        high: None is no limit.
    Raises:
        ValueError: if it is not an integer from `low` to `high`.
    """
    number = integer(value)
    if number is None or number < low or (high is not None and number > high):
        to = "" if high is None else f" to {high}"
        raise ValueError(f"{name}={short_repr(value)}: an integer from {low}{to} is allowed")
    return number


def check_fraction(name: str, value: object) -> float:
    """Return a number from 0 to 1 as a float.

    Args:
        name: of the argument, for the message.
    Raises:
        ValueError: if it is none.
    """
    number = plain(value)
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= 1:
        raise ValueError(f"{name}={short_repr(value)}: a number from 0 to 1 is allowed")
    return float(number) + 0.0  # not -0.0


def float32_text(value: float) -> str:
    """Return the fewest digits that stand for the float32 next to a number; infinite from about 3.4e38."""
    single = c_float(value).value + 0.0
    if math.isinf(single):
        return "inf"
    texts = (f"{single:.{digits}g}" for digits in range(6, 10))
    return next(text for text in texts if c_float(float(text)).value == single).replace("e+", "e")


class Allowed(NamedTuple):
    """What a number may be, for `check`.

    Args:
        test: called with numbers only; a bool is none.
        words: what it accepts.
    """

    test: Callable[[float], bool]
    words: str


def between(low: int, high: int) -> Allowed:
    """Allow the integers from `low` to `high`."""
    return Allowed(lambda value: low <= value <= high, f"an integer from {low} to {high}")


NotNegative = Annotated[float, Allowed(lambda value: 0 <= value < math.inf, "a finite number from 0")]
Positive = Annotated[float, Allowed(lambda value: 0 < value < math.inf, "a finite number above 0")]


def check(name: str, value: object, kind: Any) -> None:
    """Raise a ValueError that names a field, its value and what is allowed if the value is not.

    Args:
        kind: `Literal[...]`, `Annotated[..., Allowed(...)]`, or a union of these with None; all others pass.
    """
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ValueError(f"{name}={short_repr(value)}: {allowed_names(value, get_args(kind))}")
    elif get_origin(kind) is Annotated:
        number, allowed = get_args(kind)
        is_number = isinstance(value, (int, number)) and not isinstance(value, bool)  # 1 is a float too
        if not is_number or not allowed.test(value):
            raise ValueError(f"{name}={short_repr(value)}: {allowed.words} is allowed")
    elif get_origin(kind) in (Union, UnionType) and value is not None:
        for other in get_args(kind):
            check(name, value, other)


class StrictConfig:
    """Base class of frozen dataclasses of checked fields, converted to and from plain dictionaries strictly.

    Raises:
        ValueError: if a value is not what `check` allows for its field's type.
    """

    CAME_LATER: ClassVar[dict[str, Any]] = {}  # fields that older files lack, with what those files mean

    def __post_init__(self) -> None:
        kinds = get_type_hints(type(self), include_extras=True)
        for field in fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            check(field.name, getattr(self, field.name), kinds[field.name])

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

        Fields that came later may be missing.

        Raises:
            ValueError: if a field is unknown or missing, or a value is not allowed.
        """
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]  # every subclass is a dataclass
        for key in values:
            if key not in names:
                meant = did_you_mean(key, names, form=_MEANT)
                raise ValueError(
                    f"{cls.__name__} has no field {short_repr(key)}{meant}; its fields are {', '.join(names)}"
                )
        values = cls.CAME_LATER | values
        missing = [name for name in names if name not in values]
        if missing:
            raise ValueError(f"{cls.__name__} misses the field {', '.join(missing)}")
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
