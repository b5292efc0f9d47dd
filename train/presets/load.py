"""From a preset's YAML and `--set key=value` to a checked `TrainConfig`; errors name source, key, value and choices."""

import dataclasses
import itertools
import os.path
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from sngan_cond.stored import read_text
from sngan_cond.validation import did_you_mean, nearest, one_line, short_repr
from train.config import SHARED_KEYS, TrainConfig
from train.errors import TrainError
from train.presets.index import TablePreset, table_presets
from train.presets.tables import Values
from train.sections import DataConfig
from train.stored import MAX_YAML_BYTES, parse_yaml, read_yaml

FOLDER = Path(__file__).parent
_ADAPTER = TypeAdapter(TrainConfig)
KeyPath = tuple[str, ...]
# What pydantic asks for by Python's names, in YAML's.
# What is allowed, by pydantic's names of what is wrong.
_ALLOWED = {
    "tuple_type": "a list is allowed, in [] and with commas",
    "dict_type": "a mapping is allowed, in {{}}",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number is allowed"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number is allowed"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false is allowed"),
    "greater_than": "a number above {gt} is allowed",
    "greater_than_equal": "{ge} and more is allowed",
    "less_than": "a number below {lt} is allowed",
    "less_than_equal": "{le} at most is allowed",
    "literal_error": "{expected} is allowed",
    "string_pattern_mismatch": "an id of a licence, such as mit, is allowed",  # the one text of a given form
}
_MAX_DOTS = 8  # of a key; sections hold sections no deeper
AUTO = "auto"  # as `num_classes`, until the data set is asked


def preset_names() -> list[str]:
    """List the presets' names: files of this folder, rows of the papers' tables, and the bases that rows share."""
    return sorted([*(path.stem for path in FOLDER.glob("*.yaml")), *table_presets()])


def preset_notes(preset: str) -> tuple[str, ...]:
    """Return what a preset says of itself, a line each: the comments at the head of its file, or its table's words."""
    found = _find(preset, f"--preset {preset}")
    if isinstance(found, TablePreset):
        return found.about
    text = read_text(found, "YAML", error=TrainError, limit=MAX_YAML_BYTES)
    head = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    return tuple(line.lstrip("# ") for line in head)


def load_config(
    preset: str | None, overrides: Iterable[str] = (), *, count_classes: Callable[[str], int] | None = None
) -> TrainConfig:
    """Read a preset, apply overrides and check the whole.

    Args:
        preset: a name, the last part of a name where no other ends so, or a YAML file; None takes the defaults.
        overrides: "key=value" strings, keys dotted, values in YAML.
        count_classes: what `num_classes: auto` is for a `data.path`; None allows numbers alone.
    Raises:
        TrainError: naming file (or --set), key path, value and what is allowed.
    """
    settings = _Settings()
    if preset is not None:
        settings.read(preset)
    for override in overrides:
        key, separator, text = override.partition("=")
        asked = f"--set {_shown(override)}"
        if not separator or not key:
            raise TrainError(f"{asked}: key=value is allowed, for example --set batch_total=64")
        if key.count(".") > _MAX_DOTS:
            raise TrainError(f"{asked}: no such key; keys have at most {_MAX_DOTS} dots")
        value = parse_yaml(text, name=f"{asked}: the value is not YAML")
        settings.add({key: value}, "--set")
    return settings.config(count_classes)


def preview(
    preset: str | None, overrides: Iterable[str] = (), *, count_classes: Callable[[str], int]
) -> dict[str, Any]:
    """Return a resolved configuration as plain values, in which `num_classes` stays "auto" until there is a data set.

    Args:
        preset: as all arguments, of `load_config`.
    """
    missing: list[str] = []

    def count(path: str) -> int:
        if Path(path).exists():
            return count_classes(path)
        missing.append(path)
        return 1

    values = config_to_dict(load_config(preset, overrides, count_classes=count))
    return {**values, "num_classes": AUTO} if missing else values


def config_to_dict(config: TrainConfig) -> dict[str, Any]:
    """Return the resolved configuration as plain values; what both networks share stands once, at the top."""
    plain: dict[str, Any] = _ADAPTER.dump_python(config, mode="json")
    for section in ("generator", "discriminator"):
        for key in SHARED_KEYS:
            del plain[section][key]
    return plain


def config_to_yaml(config: TrainConfig) -> str:
    """Return the resolved configuration as YAML that `load_config` reads back."""
    return to_yaml(config_to_dict(config))


def to_yaml(values: dict[str, Any]) -> str:
    """Return plain values as YAML that `load_config` reads back."""
    return yaml.safe_dump(values, sort_keys=False, width=120)


def _find(preset: str, asked: str, *, beside: Path = Path()) -> TablePreset | Path:
    """Return the row of a table, or the file, that the user means.

    Args:
        asked: what the message begins with if there is none.
        beside: folder that a relative path starts from.
    """
    if preset.endswith((".yaml", ".yml")):
        path = beside / os.path.expanduser(preset)  # noqa: PTH111 - Path's fails without a home
        if not os.path.isfile(path):  # noqa: PTH113 - Path's raises where a name is too long
            raise TrainError(f"{asked}: no such file{'' if str(path) == preset else f' ({path})'}")
        return path
    names = preset_names()
    matches = [name for name in names if name == preset] or [n for n in names if n.rsplit("/", 1)[-1] == preset]
    if len(matches) == 1:
        return table_presets().get(matches[0], FOLDER / f"{matches[0]}.yaml")
    if matches:
        raise TrainError(f"{asked}: several presets end so: {', '.join(matches)}")
    files = sorted((n for n in names if "/" not in n), key=lambda n: not n.endswith("projection"))  # the main system
    candidates = dict.fromkeys([*files, *names, *(name.rsplit("/", 1)[-1] for name in names)])
    hint = did_you_mean(preset, candidates, f"presets are {', '.join(sorted(files))}")
    raise TrainError(f"{asked}: no such preset; {hint}")


class _Settings:
    """What differs from the defaults, nested, and for messages the preset, file or flag that set it, by key path."""

    def __init__(self) -> None:
        self.values: Values = {}
        self.sources: dict[KeyPath, str] = {}

    def read(self, preset: str) -> None:
        """Add a row of a table, or a file over what it extends, which may be a file beside it."""
        self._read(_find(preset, f"--preset {_shown(preset)}"), ())

    def _read(self, found: TablePreset | Path, extended_by: tuple[Path, ...]) -> None:
        if isinstance(found, TablePreset):
            self.add(found.values, f"preset {found.name}")
            return
        own = read_yaml(found)
        parent = own.pop("extends", None)
        if parent is not None:
            asked, chain = f"{found}: extends={short_repr(parent)}", (*extended_by, found.resolve())
            below = _find(str(parent), asked, beside=found.parent)
            if isinstance(below, Path) and below.resolve() in chain:
                raise TrainError(f"{asked}: a preset that does not extend this one again is allowed")
            self._read(below, chain)
        self._merge(self.values, own, str(found), ())

    def add(self, values: Values, source: str) -> None:
        """Add values by their dotted keys."""
        for key, value in values.items():
            for part in reversed(key.split(".")):
                value = {part: value}
            self._merge(self.values, value, source, ())

    def _merge(self, into: Values, values: Values, source: str, at: KeyPath) -> None:
        """Write nested values over `into`, which is left sharing none of their mappings."""
        for key, value in values.items():
            path = (*at, str(key))
            if isinstance(value, dict):
                if not isinstance(into.get(key), dict):
                    into[key] = {}
                self._merge(into[key], value, source, path)
            else:
                into[key] = value
            self.sources[path] = source

    def config(self, count_classes: Callable[[str], int] | None) -> TrainConfig:
        """Check everything and build the configuration."""
        self._check_keys(TrainConfig, self.values, ())
        if self.values.get("num_classes") == AUTO:
            if count_classes is None:
                where = self._where(("num_classes",))
                raise TrainError(f"{where}={AUTO}: no data set is read here; a number is allowed")
            self._count_classes(count_classes)
        try:
            return _ADAPTER.validate_python(_share_keys(self.values))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            path = tuple(str(part) for part in first["loc"])
            if first["type"] == "value_error":  # one of ours, whose words name the value already
                message = one_line(first["ctx"]["error"], 400, more="…")
                raise TrainError(f"{self._where(path)}: {message}" if path else message) from error
            allowed = (
                _ALLOWED[kind].format(**first.get("ctx", {})) if (kind := first["type"]) in _ALLOWED else first["msg"]
            )
            raise TrainError(f"{self._where(path)}={short_repr(first['input'])}: {allowed}") from error

    def _count_classes(self, count: Callable[[str], int]) -> None:
        """Replace `num_classes: auto` by a number; without classes the default head, which needs some, goes too."""
        path = self.values.get("data", {}).get("path", DataConfig.path)
        try:
            self.values["num_classes"] = count(os.path.expanduser(str(path)))  # noqa: PTH111 - as in _find
        except TrainError as error:
            where = self._where(("data", "path"))
            raise TrainError(f"{where}={error}; num_classes={AUTO} counts its classes") from error
        if not self.values["num_classes"]:
            self.values.setdefault("discriminator", {}).setdefault("head", "unconditional")

    def _check_keys(self, cls: type, values: Mapping[str, Any], at: KeyPath) -> None:
        hints = get_type_hints(cls)
        for key, value in values.items():
            path = (*at, str(key))
            if key not in hints:
                near = nearest(str(key), hints)
                hint = f"did you mean {'.'.join((*at, near))}?" if near else f"keys here are {', '.join(hints)}"
                raise TrainError(f"{self._where(path)}: no such key; {hint}")
            if dataclasses.is_dataclass(hints[key]):
                if not isinstance(value, Mapping):
                    raise TrainError(f"{self._where(path)}={short_repr(value)}: a mapping of keys is allowed")
                self._check_keys(hints[key], value, path)

    def _where(self, path: KeyPath) -> str:
        """Return a dotted key behind what set it, or set the nearest section above it."""
        key = _shown(".".join(path))
        source = next((self.sources[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.sources), None)
        if source is None:
            return key
        return f"--set {key}" if source == "--set" else f"{source}: {key}"


def _shown(text: str) -> str:
    """Return a key, an override or a name for a message."""
    return one_line(text, 100, more="…")


def _share_keys(values: Values) -> Values:
    """Copy resolution, num_classes and architecture from the top into both networks."""
    shared = {key: values.get(key, getattr(TrainConfig, key)) for key in SHARED_KEYS}
    full = dict(values)
    for section in ("generator", "discriminator"):
        own = full.get(section, {})
        for key in SHARED_KEYS:
            if key in own and own[key] != shared[key]:
                raise TrainError(
                    f"{section}.{key}={short_repr(own[key])}: say {key} once, at the top; there it is {shared[key]!r}"
                )
        full[section] = {**shared, **own}
    return full
