"""`python -m train --explain`: what every key of a configuration means and takes, from its classes' own docstrings."""

import dataclasses
import inspect
import re
import shutil
import textwrap
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import yaml
from pydantic.fields import FieldInfo

from sngan_cond.validation import Allowed, did_you_mean
from train.config import FREE_KEYS, SHARED_KEYS, TrainConfig
from train.errors import TrainError

_ARGUMENTS = re.compile(r"^Args:\n((?: .*\n?|\n)*)", re.M)
_TYPES = {
    int: ["an integer"],
    float: ["a number"],
    str: ["a text"],
    bool: ["true", "false"],
    NoneType: ["null"],
}
_BOUNDS = {"ge": "from", "gt": "above", "le": "up to", "lt": "below", "pattern": "like"}


class Key(NamedTuple):
    """A key of a configuration, or a section, which has keys instead of a value.

    Args:
        name: dotted.
        meaning: paragraphs of a section, a key's line.
        allowed: "" for a section.
        default: a plain value of YAML.
    """

    name: str
    meaning: str
    allowed: str = ""
    default: Any = None


def keys() -> list[Key]:
    """Return every section, each followed by its keys, in the order of `TrainConfig`; top-level keys come first."""
    top = list(_keys(TrainConfig(), ""))
    return sorted(top, key=lambda key: bool("." in key.name or not key.allowed))


def explain(asked: str = "", values: Mapping[str, Any] | None = None, *, flags: str = "") -> str:
    """Return a text about all keys, a line each, or about those that are asked for.

    Args:
        asked: "" for all; a dotted key, a section, or the last part of keys.
        values: of a resolved configuration, nested as in YAML, shown beside the defaults; None shows those alone.
        flags: that gave the values.
    Raises:
        TrainError: if no key is called so.
    """
    known = keys()
    width = min(shutil.get_terminal_size((120, 24)).columns, 120)
    if not asked:
        return "\n".join(_overview(known, values, flags, width))
    found = [key for key in known if key.name == asked or key.name.startswith(f"{asked}.")]
    found = found or [key for key in known if key.name.endswith(f".{asked}")]
    section, _, last = asked.rpartition(".")
    if not found and section in ("generator", "discriminator") and last in SHARED_KEYS:
        raise TrainError(f"--explain {asked}: {last} is said once, at the top; --explain {last} is allowed")
    if not found:
        names = [key.name for key in known]
        hint = did_you_mean(asked, [*names, *(name.rpartition(".")[2] for name in names)], "--explain lists all")
        raise TrainError(f"--explain {asked}: no such key; {hint}")
    return "\n\n".join("\n".join(_details(key, values, flags, width)) for key in found)


def _overview(known: list[Key], values: Mapping[str, Any] | None, flags: str, width: int) -> Iterator[str]:
    """Yield a line for each key: its name, its default or its value, the beginning of its meaning."""
    yield "--explain KEY says all about a key or a section; --set KEY=VALUE, or a line of YAML, sets one."
    yield "Key, default, meaning:" if values is None else f"Key, value with {flags} (* is not the default), meaning:"
    yield ""
    longest = max(len(key.name) for key in known)
    for key in known:
        if not key.allowed:
            yield ""
            yield textwrap.shorten(f"{key.name}: {key.meaning}", width, placeholder=" ...")
            continue
        value = key.default if values is None else _value(values, key.name)
        mark = " " if value == key.default else "*"
        start = f"  {key.name:<{longest}} {mark}{_yaml(value):<13} "
        yield start + textwrap.shorten(key.meaning, max(width - len(start), 30), placeholder=" ...")


def _details(key: Key, values: Mapping[str, Any] | None, flags: str, width: int) -> Iterator[str]:
    """Yield all that is known of a key."""
    yield key.name
    facts = []
    if key.allowed:
        facts = [f"allowed: {key.allowed}", f"default: {_yaml(key.default)}"]
        if values is not None:
            facts.append(f"value with {flags}: {_yaml(_value(values, key.name))}")
        if {key.name, key.name.partition(".")[0]} & set(FREE_KEYS):
            facts.append("may change when a run goes on")
    for line in (*key.meaning.splitlines(), *facts):
        yield textwrap.fill(line, width, initial_indent="    ", subsequent_indent="    ")


def _keys(config: Any, prefix: str) -> Iterator[Key]:
    """Yield the keys of a configuration, and behind a section its own; what networks share is at the top alone."""
    hints, (_, meanings) = get_type_hints(type(config), include_extras=True), _docstring(type(config))
    for field in dataclasses.fields(config):
        if prefix and field.name in SHARED_KEYS:
            continue
        value, name = getattr(config, field.name), f"{prefix}{field.name}"
        meaning = meanings.get(field.name, "")
        if dataclasses.is_dataclass(value):
            yield Key(name, "\n".join(filter(None, (meaning, *_docstring(type(value))[0]))))
            yield from _keys(value, f"{name}.")
        else:
            # A None that the class has replaced, such as a width, is what a preset may say.
            default = None if field.default is None else value
            plain = list(default) if isinstance(default, tuple) else default
            allowed = _alternatives(hints[field.name])
            allowed += ["auto"] * (name == "num_classes")  # which is a number once the preset is read
            yield Key(name, meaning, _listed(allowed), plain)


def _docstring(cls: type) -> tuple[list[str], dict[str, str]]:
    """Return the paragraphs of a class's docstring above its arguments, and what it says of each argument."""
    text = re.sub(r"\bNone\b", "null", inspect.getdoc(cls) or "")  # as YAML says it
    head, arguments, *_ = [*_ARGUMENTS.split(text), ""]  # a class may have none
    meanings: dict[str, str] = {}
    for entry in re.findall(r"^    (\S.*(?:\n     .*)*)", arguments, re.M):
        names, _, meaning = " ".join(entry.split()).partition(": ")
        meanings |= dict.fromkeys(names.split(", "), meaning)
    return [" ".join(paragraph.split()) for paragraph in head.strip().split("\n\n")], meanings


def _alternatives(kind: Any) -> list[str]:
    """Return in words what a type allows, each alternative."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return [_yaml(choice) for choice in arguments]
    if origin is Annotated:
        return [_checked(*arguments)]
    if origin in (tuple, list):
        return [f"a list (each {_listed(_alternatives(arguments[0]))})"]
    if origin is dict:
        key, value = (_listed(_alternatives(argument)) for argument in arguments)
        return [f"a mapping from {key} to {value}"]
    if arguments:  # a union
        return [words for argument in arguments for words in _alternatives(argument)]
    return _TYPES[kind]


def _checked(kind: Any, check: object) -> str:
    """Return in words what a type with a check of ours or of pydantic's allows."""
    if isinstance(check, Allowed):
        return check.words
    limits = check.metadata if isinstance(check, FieldInfo) else []  # else it converts, and allows all
    bounds = [f"{word} {getattr(m, name)}" for m in limits for name, word in _BOUNDS.items() if hasattr(m, name)]
    return " ".join(filter(None, (_listed(_alternatives(kind)), " and ".join(bounds))))


def _listed(words: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _value(values: Mapping[str, Any], name: str) -> Any:
    for part in name.split("."):
        values = values[part]
    return values


def _yaml(value: object) -> str:
    """Return a value on one line, as a preset says it."""
    return yaml.safe_dump(value, default_flow_style=True, width=1000, allow_unicode=True).removesuffix("...\n").strip()
